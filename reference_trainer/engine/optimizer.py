"""AdamW over named parameters, and the learning rate of each update as a pure function of its number."""

import math
from typing import Any

import torch
from torch import nn

from harness.errors import UsageError
from reference_trainer.config import OptimizerConfig


def learning_rate(update: int, config: OptimizerConfig) -> float:
    """Learning rate of update 0, 1, ...: linear warm-up to the peak, then the schedule.

    Being a pure function it needs no state in a checkpoint.
    """
    if update < config.warmup_steps:
        return config.learning_rate * (update + 1) / config.warmup_steps
    if config.schedule == "constant" or config.total_steps is None:
        return config.learning_rate
    done = min(1.0, (update - config.warmup_steps) / max(1, config.total_steps - config.warmup_steps))
    shape = (1 + math.cos(math.pi * done)) / 2 if config.schedule == "cosine" else 1 - done
    return config.learning_rate * (config.min_ratio + (1 - config.min_ratio) * shape)


def parameter_groups(model: nn.Module, config: OptimizerConfig, *, half: bool = False) -> list[dict[str, Any]]:
    """AdamW's parameter groups: matrices and expert tensors decay, vectors (norms, biases) do not.

    Args:
        model: Its parameters with ``requires_grad``.
        config: Weight decay.
        half: Whether weights in half precision are welcome, because float32 master weights are stepped on.

    Raises:
        UsageError: A trainable weight is in half precision, where steps of 1e-6 vanish.
    """
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if not half and parameter.dtype not in (torch.float32, torch.float64):
            raise UsageError(
                f"{name} is {str(parameter.dtype).removeprefix('torch.')}, in which small AdamW steps vanish: load the "
                "model in float32 and set autocast: bfloat16"
            )
        (decayed if parameter.ndim > 1 else plain).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def adamw(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over ``parameter_groups``, which says what it raises."""
    return torch.optim.AdamW(
        parameter_groups(model, config), lr=config.learning_rate, betas=config.betas, eps=config.epsilon
    )
