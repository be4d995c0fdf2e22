"""Reference trainer: distillation, entropy-based selection, C3PO and two-stage RL on a mixture of experts."""
