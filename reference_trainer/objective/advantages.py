"""Advantages of Eq. 1 and 2 of Ring-lite (arXiv 2506.14731): rewards normalised within their group."""

import torch
from torch import Tensor

from harness.errors import UsageError
from reference_trainer.config import AdvantageStd

TRL_EPSILON = 1e-4  # trl.GRPOTrainer divides by std + 1e-4


def group_advantages(rewards: Tensor, std: AdvantageStd = "unbiased") -> Tensor:
    """A_i = (R_i - mean R) / std R over the K responses of one prompt, before any response is cut.

    Args:
        rewards: [L, K], finite; row l holds the rewards of the K responses to prompt l.
        std: ``unbiased`` divides squares by K - 1, ``population`` by K, ``unbiased_epsilon`` adds 1e-4 to the unbiased.

    Returns:
        [L, K] float64. A group whose rewards are all equal (K = 1 among them) is exactly 0.

    Raises:
        UsageError: A reward is not finite, or ``rewards`` is not a matrix.
    """
    if rewards.ndim != 2:
        raise UsageError(f"rewards have shape {list(rewards.shape)}: give one row of K rewards for each prompt")
    rewards = rewards.double()
    if not torch.isfinite(rewards).all():
        row, column = (~torch.isfinite(rewards)).nonzero()[0].tolist()
        raise UsageError(
            f"reward of response {column} to prompt {row} is {rewards[row, column].item()}: a verifier must return "
            "a finite number"
        )
    constant = zero_variance_groups(rewards)[:, None]
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    degrees = rewards.shape[1] - (0 if std == "population" else 1)
    spread = (centred.square().sum(dim=1, keepdim=True) / max(degrees, 1)).sqrt()
    if std == "unbiased_epsilon":
        spread = spread + TRL_EPSILON
    # A constant group is told by its rewards, not by a spread that rounding can leave above zero.
    return torch.where(constant, torch.zeros_like(centred), centred / torch.where(constant, 1.0, spread))


def zero_variance_groups(rewards: Tensor) -> Tensor:
    """Which groups teach nothing: [L] bool, true where all K rewards of the row are equal."""
    return (rewards == rewards[:, :1]).all(dim=1)
