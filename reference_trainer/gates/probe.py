"""The production engine on a real checkpoint, asked for values and gradients, with weights that stay as they are."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from reference_trainer.config import ObjectiveConfig, OptimizerConfig, RLConfig
from reference_trainer.engine import OneProcessEngine, UpdateBatch
from reference_trainer.gates.plain import PlainSequence
from reference_trainer.rollout import Rollout, RolloutRequest, Sampling
from reference_trainer.step import Iteration, RLTrainer
from reference_trainer.stream import Prompt, PromptStream


class Probe(OneProcessEngine):
    """``OneProcessEngine`` that keeps the gradient of an update in place of taking the step.

    Attributes:
        gradient: Of the last update, as one vector in the order of the parameters.
    """

    def __init__(self, model: Any, objective: ObjectiveConfig, settings: OptimizerConfig, temperature: float = 1.0):
        super().__init__(model, objective, settings, temperature)
        self.gradient: Tensor = torch.empty(0)

    def _apply_gradients(self, rate: float) -> float:
        weights = [weight for weight in self.scorer.model.parameters() if weight.requires_grad]
        self.gradient = torch.cat(
            [torch.zeros_like(w).flatten() if w.grad is None else w.grad.detach().flatten() for w in weights]
        )
        self.optimizer.zero_grad(set_to_none=True)
        return float(self.gradient.norm())

    def ask(
        self, batch: UpdateBatch, objective: ObjectiveConfig, micro_batch_tokens: int | None = None
    ) -> tuple[dict[str, Any], Tensor]:
        """Metrics and gradient of one update of ``batch`` (from ``prepare``) under another objective or split."""
        self.objective = objective
        if micro_batch_tokens is not None:
            split = {"micro_batch_tokens": micro_batch_tokens, "block_tokens": None}
            self.settings = self.settings.model_copy(update=split)
        metrics = self.update(batch)
        return metrics, self.gradient


def plain_sequences(batch: UpdateBatch) -> list[PlainSequence]:
    """The sequences of a batch as the plain implementation reads them."""

    def row(values: list[Tensor] | None, number: int) -> list[float] | None:
        return None if values is None else values[number].double().tolist()

    return [
        PlainSequence(
            prompt=batch.prompts[i].tolist(),
            kept=batch.responses[i].tolist(),
            whole=int(batch.lengths[i]),
            advantage=float(batch.advantages[i]),
            old=row(batch.old_logprobs, i),
            sampled=row(batch.sampling_logprobs, i),
        )
        for i in range(len(batch))
    ]


class _Recorded:
    """A rollout engine that gives back recorded responses."""

    def __init__(self, rollouts: Sequence[Rollout]):
        self.rollouts = list(rollouts)

    def generate(self, requests: Sequence[RolloutRequest], sampling: Sampling) -> list[Rollout]:
        """The recorded ones, whatever is asked."""
        assert len(requests) == len(self.rollouts)
        return self.rollouts

    def close(self) -> None:
        """Nothing is held."""

    def update_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """They were drawn already."""


def replay_step(probe: Probe, groups: Sequence[Sequence[Rollout]], rewards: Sequence[float], rl: RLConfig) -> Iteration:
    """One production training step over recorded responses and given rewards, by ``RLTrainer`` itself.

    Args:
        probe: Its objective and settings become those of ``rl``.
        groups: The K responses of each prompt.
        rewards: One a response, in order.
        rl: ``rollout`` has to fit ``groups``.
    """
    probe.objective, probe.settings = rl.objective, rl.optimizer
    prompts = [Prompt(str(i), tuple(group[0].prompt.tolist())) for i, group in enumerate(groups)]
    stream = PromptStream(prompts, rl.seed)
    drawn = [int(prompt.id) for prompt in PromptStream(prompts, rl.seed).draw(len(prompts))]
    size = len(groups[0])
    responses = [rollout for number in drawn for rollout in groups[number]]
    values = [rewards[number * size + sample] for number in drawn for sample in range(size)]
    trainer = RLTrainer(probe, _Recorded(responses), stream, lambda asked, given: values, rl)
    trainer.step()
    assert trainer.last is not None
    return trainer.last
