"""Which checkpoint of the distillation starts reinforcement learning: by the entropy of its policy (Ring-lite, 3.2).

Of the checkpoints whose entropy lies in the band the one with the best pass rate is taken. The checkpoint with the best
validation score is usually not it (Table 2 of the paper).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator

from harness.errors import UsageError
from reference_trainer.config import Switches
from reference_trainer.engine import UpdateBatch, UpdateEngine
from reference_trainer.rollout import Rollout


class SelectionConfig(Switches):
    """How a checkpoint is chosen.

    Attributes:
        entropy: ``on_policy`` measures on responses that the checkpoint samples at temperature 1 to prompts of the
            reinforcement-learning data; ``teacher_forced`` on responses of the distillation data.
        low: Lower end of the band in nats, included.
        high: Upper end of the band in nats, included.
        choice: Within the band: the ``best_pass_rate``, the ``first`` epoch, or the ``middle`` one.
    """

    entropy: Literal["on_policy", "teacher_forced"] = "on_policy"
    low: float = Field(default=0.3, ge=0)
    high: float = Field(default=0.5, ge=0)
    choice: Literal["best_pass_rate", "first", "middle"] = "best_pass_rate"

    @model_validator(mode="after")
    def _ordered(self) -> "SelectionConfig":
        if self.low > self.high:
            raise ValueError(f"the entropy band is empty: low {self.low} exceeds high {self.high}")
        return self


@dataclass(frozen=True)
class Candidate:
    """One checkpoint: its epoch, the mean entropy of its policy in nats, and its pass rate in [0, 1]."""

    epoch: int
    entropy: float
    pass_rate: float


def choose(candidates: Sequence[Candidate], config: SelectionConfig) -> Candidate:
    """The checkpoint to start from; depends on the set of candidates alone, not on their order.

    With none in the band it is the one nearest to it, the earlier of two equally near, and a warning says so.

    Raises:
        UsageError: No candidate, or two of the same epoch.
    """
    ordered = sorted(candidates, key=lambda c: c.epoch)
    if not ordered:
        raise UsageError("no checkpoint to select from: run the distillation stage first")
    if len({c.epoch for c in ordered}) < len(ordered):
        raise UsageError("two checkpoints have the same epoch: select from one distillation run")
    band = [c for c in ordered if config.low <= c.entropy <= config.high]
    if not band:
        nearest = min(ordered, key=lambda c: max(config.low - c.entropy, c.entropy - config.high))
        warnings.warn(
            f"no checkpoint has an entropy in [{config.low}, {config.high}]: took epoch {nearest.epoch} with "
            f"{nearest.entropy:.3f}, the nearest",
            stacklevel=2,
        )
        return nearest
    if config.choice == "best_pass_rate":
        return max(band, key=lambda c: (c.pass_rate, -c.epoch))
    return band[0] if config.choice == "first" else band[(len(band) - 1) // 2]


def mean_entropy(engine: UpdateEngine, rollouts: Sequence[Rollout]) -> float:
    """The exact entropy of the engine's policy over the full vocabulary, mean over the tokens of all responses.

    Args:
        engine: Its temperature is that of the entropy; the on-policy measure of the paper has 1.
        rollouts: On-policy responses, or teacher responses as rollouts.
    """
    batch = UpdateBatch(
        prompts=[rollout.prompt for rollout in rollouts],
        responses=[rollout.response for rollout in rollouts],
        lengths=torch.tensor([rollout.length for rollout in rollouts]),
        advantages=torch.zeros(len(rollouts)),
        divisor=1.0,
        tokens=sum(rollout.length for rollout in rollouts),
        update_responses=len(rollouts),
    )
    return engine.mean_entropy(batch)
