"""Truncated importance sampling: the correction for an engine that samples from slightly other probabilities."""

from torch import Tensor


def truncated_importance(old_logprobs: Tensor, sampling_logprobs: Tensor, cap: float) -> Tensor:
    """min(pi_old / pi_sampler, cap) at each sampled token, constant (Yao et al. 2025, "off-policy RL training").

    Args:
        old_logprobs: [B, T] log-probabilities under the trainer's policy at the time of the rollout.
        sampling_logprobs: [B, T] log-probabilities that the sampling engine reported.
        cap: Largest weight.
    """
    return (old_logprobs - sampling_logprobs).detach().exp().clamp(max=cap)
