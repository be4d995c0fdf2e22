"""Eq. 1 of Ring-lite (arXiv 2506.14731): GRPO, the baseline, and the per-token term that it shares with C3PO."""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import UsageError
from reference_trainer.config import KLEstimator
from reference_trainer.objective.kl import kl_per_token


@dataclass(frozen=True)
class PolicyTokens:
    """What the policy losses read of a micro-batch of B responses padded to T tokens.

    Attributes:
        logprobs: [B, T] log pi of the sampled tokens; carries the gradient.
        old_logprobs: [B, T] log pi_old, constant.
        advantages: [B], constant.
        selected: [B, T] bool, the tokens in Psi; false at padding, whose content is never read.
        reference_logprobs: [B, T] log pi_ref, constant; None without a KL term.
        importance: [B, T] truncated importance weights, constant; None without correction.
    """

    logprobs: Tensor
    old_logprobs: Tensor
    advantages: Tensor
    selected: Tensor
    reference_logprobs: Tensor | None = None
    importance: Tensor | None = None


def token_objective(
    tokens: PolicyTokens,
    *,
    clip_low: float,
    clip_high: float,
    kl_coefficient: float,
    kl_estimator: KLEstimator = "k3",
) -> Tensor:
    """The bracket of Eq. 1 and 2: min(r A, clip(r, 1 - eps, 1 + eps) A) - beta KL, r = pi / pi_old.

    Returns:
        [B, T]; exactly 0, value and gradient, outside ``selected``.

    Raises:
        UsageError: A KL term without reference log-probabilities.
    """
    # Zeros replace the padding before any arithmetic: a NaN there would survive a multiplication by 0 in the backward.
    outside = ~tokens.selected
    logprobs = tokens.logprobs.masked_fill(outside, 0)
    ratio = (logprobs - tokens.old_logprobs.masked_fill(outside, 0)).exp()
    advantages = tokens.advantages.to(ratio.dtype)[:, None]
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)
    if tokens.importance is not None:
        surrogate = surrogate * tokens.importance.masked_fill(outside, 0)
    if kl_coefficient:
        if tokens.reference_logprobs is None:
            raise UsageError(f"kl_coefficient {kl_coefficient} needs the reference policy's log-probabilities")
        reference = tokens.reference_logprobs.masked_fill(outside, 0)
        surrogate = surrogate - kl_coefficient * kl_per_token(logprobs, reference, kl_estimator)
    return surrogate.masked_fill(outside, 0)


def grpo_loss(
    tokens: PolicyTokens,
    lengths: Tensor,
    responses: int,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    kl_coefficient: float = 0.0,
    kl_estimator: KLEstimator = "k3",
) -> Tensor:
    """Eq. 1: L_GRPO = - 1/(L K) sum_i 1/|y_i| sum_t [ min(r A, clip(r) A) - beta KL ].

    Additive: the losses of the micro-batches of an update sum to that of the update.

    Args:
        tokens: One micro-batch.
        lengths: [B] |y_i| in tokens, each at least 1.
        responses: L K, responses of the whole update.
        clip_low: Lower eps.
        clip_high: Upper eps.
        kl_coefficient: beta.
        kl_estimator: See ``kl_per_token``.

    Returns:
        Scalar.
    """
    objective = token_objective(
        tokens, clip_low=clip_low, clip_high=clip_high, kl_coefficient=kl_coefficient, kl_estimator=kl_estimator
    )
    return -(objective.sum(dim=1) / lengths.to(objective.dtype)).sum() / responses


def clipped_tokens(tokens: PolicyTokens, *, clip_low: float, clip_high: float) -> Tensor:
    """[B, T] bool: selected tokens in the clipped region, where the surrogate has no gradient."""
    log_ratio = (tokens.logprobs - tokens.old_logprobs).detach().masked_fill(~tokens.selected, 0)
    advantages = tokens.advantages[:, None]
    ratio = log_ratio.exp()
    clipped = ((ratio > 1 + clip_high) & (advantages > 0)) | ((ratio < 1 - clip_low) & (advantages < 0))
    return clipped & tokens.selected
