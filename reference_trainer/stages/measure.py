"""Responses of a model to prompts, with the verifier's rewards: what selection, curation and general tuning measure."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch

from reference_trainer.model import hub_weights
from reference_trainer.rollout import Rollout, Sampling, group_requests
from reference_trainer.rollout.settings import make_rollout_engine
from reference_trainer.stages.stage import StageRun
from reference_trainer.stream import Prompt
from reference_trainer.tasks import Verifier, VerifierReward


@dataclass(frozen=True)
class Measured:
    """Responses in prompt order, then sample index; ``prompts`` and ``rewards`` alike."""

    prompts: list[Prompt]
    rollouts: list[Rollout]
    rewards: list[float]

    def pass_rates(self) -> dict[str, float]:
        """Share of right responses in each domain."""
        domains = sorted({prompt.domain for prompt in self.prompts})
        return {domain: self._rate(domain) for domain in domains}

    def _rate(self, domain: str) -> float:
        found = [reward for prompt, reward in zip(self.prompts, self.rewards, strict=True) if prompt.domain == domain]
        return sum(found) / len(found)


def sample(
    run: StageRun, model: Any, tokenizer: Any, prompts: Sequence[Prompt], samples: int, max_new_tokens: int
) -> tuple[list[Prompt], list[Rollout]]:
    """``samples`` responses a prompt at temperature 1, each with a seed of its own, and the prompt of each."""
    requests = group_requests(
        [torch.tensor(prompt.tokens) for prompt in prompts], samples, run.seed, [prompt.id for prompt in prompts]
    )
    with closing(make_rollout_engine(run.recipe.rollout_engine, model, tokenizer.eos_token_id)) as engine:
        engine.update_weights(hub_weights(model))
        rollouts = engine.generate(requests, Sampling(max_new_tokens))
    return [prompt for prompt in prompts for _ in range(samples)], rollouts


def verify(asked: list[Prompt], rollouts: list[Rollout], tokenizer: Any, verifier: Verifier) -> Measured:
    """The responses with the verifier's rewards."""
    return Measured(asked, rollouts, VerifierReward(tokenizer, verifier)(asked, rollouts))
