"""Eq. 2 of Ring-lite (arXiv 2506.14731): the policy loss under a constant token budget."""

from torch import Tensor

from reference_trainer.config import KLEstimator
from reference_trainer.objective.grpo import PolicyTokens, token_objective


def c3po_loss(
    tokens: PolicyTokens,
    budget: float,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    kl_coefficient: float = 0.0,
    kl_estimator: KLEstimator = "k3",
) -> Tensor:
    """Eq. 2: L_C3PO = - 1/Phi sum_{(i,t) in Psi} [ min(r A, clip(r, 1 - eps, 1 + eps) A) - beta KL ].

    Every token weighs 1/Phi, whatever the length of its response and whatever else is in the micro-batch, so the losses
    of the micro-batches of an update sum to that of the update.

    Args:
        tokens: One micro-batch; ``tokens.selected`` is its part of Psi.
        budget: Phi of the whole update, over all micro-batches and ranks.
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
    return -objective.sum() / budget
