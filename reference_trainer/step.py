"""One training iteration, from prompts to changed weights.

The way of a step: here (``RLTrainer.step``) -> ``rollout/transformers_engine.py`` -> ``objective/budget.py`` ->
``engine/update.py`` -> ``objective/c3po.py``.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.errors import CheckFailed, UsageError
from reference_trainer.config import ObjectiveConfig, RLConfig
from reference_trainer.engine import UpdateBatch, UpdateEngine
from reference_trainer.objective import Selection, fill_order, group_advantages, select_tokens, zero_variance_groups
from reference_trainer.rollout import Rollout, RolloutEngine, Sampling, group_requests, response_seed
from reference_trainer.rollout.distributed import DistributedRollouts, distributed_reward
from reference_trainer.stream import Prompt, PromptStream
from reference_trainer.trainer import Trainer

# Verifies whole responses: for responses i = 0, 1, ... the prompt it answers and the response, to finite rewards.
Reward = Callable[[Sequence[Prompt], Sequence[Rollout]], Sequence[float]]


@dataclass(frozen=True)
class Experience:
    """B: L prompts, their L x K responses in prompt order, then sample index, and rewards [L, K]."""

    prompts: list[Prompt]
    rollouts: list[Rollout]
    rewards: Tensor

    @property
    def lengths(self) -> Tensor:
        """[L * K] abs(y_i)."""
        return torch.tensor([rollout.length for rollout in self.rollouts])


@dataclass(frozen=True)
class Iteration:
    """What one iteration sampled and trained on: B, advantages [L, K], and of each optimiser step Psi and its batch."""

    experience: Experience
    advantages: Tensor
    selections: list[Selection]
    batches: list[UpdateBatch]


class RLTrainer(Trainer[RLConfig]):
    """A reinforcement-learning stage that advances one iteration a call.

    Args:
        engine: Holds and updates the policy.
        sampler: Draws responses from that policy; with several ranks each draws its share.
        stream: The stage's prompts.
        reward: The verifier; with several ranks each verifies its share.
        config: The stage's settings; ``objective`` and ``optimizer`` are those that ``engine`` was made with.

    Attributes:
        steps: Iterations done.
        last: What the last iteration sampled and trained on, for gates and reports; not part of the state.
    """

    last: "Iteration | None" = None

    def __init__(
        self, engine: UpdateEngine, sampler: RolloutEngine, stream: PromptStream, reward: Reward, config: RLConfig
    ):
        if (engine.objective, engine.settings) != (config.objective, config.optimizer):
            raise UsageError("the engine was made with another objective or optimizer than the stage's settings")
        if engine.world_size > 1:
            sampler = DistributedRollouts(sampler, engine, getattr(sampler, "tensor_parallel", 1))
            reward = distributed_reward(reward, engine)
        super().__init__(engine, stream, config)
        self.sampler, self.reward = sampler, reward

    def step(self) -> tuple[dict[str, Any], dict[str, float]]:
        """One iteration; returns its metrics, a function of the seed, and its timings, which are not."""
        begin = time.perf_counter()
        self.sampler.update_weights(self.engine.weights())
        experience = self._sample()
        sampled = time.perf_counter()
        advantages = group_advantages(experience.rewards, self.config.objective.advantage_std)
        selections = self._select(experience)
        batches = [
            update_batch(experience, advantages.flatten(), selection, part)
            for part, selection in zip(self._parts(experience), selections, strict=True)
        ]
        engine = self.engine
        shares = engine.prepare([batch.share(engine.rank, engine.world_size) for batch in batches])
        updates = [engine.update(share) for share in shares]
        self.steps += 1
        self.last = Iteration(experience, advantages, selections, shares)
        seconds = time.perf_counter() - begin
        metrics = experience_metrics(experience) | update_metrics(updates)
        metrics["budget_fill"] = sum(s.tokens for s in selections) / sum(s.budget for s in selections)
        timings = {"seconds": seconds, "rollout_seconds": sampled - begin}
        return metrics, timings | {"tokens_per_second": metrics["tokens_generated"] / seconds}

    def _sample(self) -> Experience:
        """Steps 1 and 2: prompts, responses, rewards; under ``under_fill: resample`` until every budget can be full."""
        objective = self.config.objective
        experience, rounds = self._draw(0), 0
        while objective.under_fill == "resample" and (fill := min(s.available for s in self._select(experience))) < 1:
            if rounds == objective.resample_rounds:
                raise CheckFailed(
                    f"step {self.steps + 1}: {rounds} extra rounds of {self.config.rollout.prompts_per_step} prompts "
                    f"filled only {fill:.0%} of the token_budget of {objective.token_budget}: lower it, raise "
                    "resample_rounds, or keep zero_variance groups"
                )
            rounds += 1
            more = self._draw(len(experience.prompts))
            experience = Experience(
                experience.prompts + more.prompts,
                experience.rollouts + more.rollouts,
                torch.cat([experience.rewards, more.rewards]),
            )
        return experience

    def _draw(self, first: int) -> Experience:
        """L prompts and K responses each; the first prompt is number ``first`` of the iteration."""
        settings = self.config.rollout
        prompts = self.stream.draw(settings.prompts_per_step)
        numbers = range(first, first + len(prompts))
        tokens = [torch.tensor(prompt.tokens) for prompt in prompts]
        seed = response_seed(self.config.seed, "step", self.steps)
        requests = group_requests(tokens, settings.responses_per_prompt, seed, numbers)
        rollouts = self.sampler.generate(requests, Sampling(settings.max_new_tokens, settings.temperature))
        asked = [prompt for prompt in prompts for _ in range(settings.responses_per_prompt)]
        rewards = torch.tensor(list(self.reward(asked, rollouts)), dtype=torch.float64)
        if len(rewards) != len(asked):
            raise UsageError(f"the reward function gave {len(rewards)} rewards for {len(asked)} responses")
        return Experience(prompts, rollouts, rewards.view(len(prompts), -1))

    def _parts(self, experience: Experience) -> list[Tensor]:
        """Response numbers of each optimiser step: whole groups, split evenly."""
        updates, responses = self.config.optimizer.updates_per_rollout, self.config.rollout.responses_per_prompt
        groups = torch.arange(len(experience.rollouts)).view(-1, responses)
        return [part.reshape(-1) for part in groups.tensor_split(updates)]

    def _select(self, experience: Experience) -> list[Selection]:
        """Step 4, Eq. 3, for each optimiser step."""
        generator = torch.Generator().manual_seed(response_seed(self.config.seed, "fill", self.steps))
        objective, ranks = self.config.objective, self.engine.world_size
        return [
            select_from(experience, part, objective, ranks=ranks, generator=generator)
            for part in self._parts(experience)
        ]


def select_from(
    experience: Experience, part: Tensor, objective: ObjectiveConfig, *, ranks: int, generator: torch.Generator
) -> Selection:
    """Psi of one optimiser step over the responses ``part`` (whole groups); GRPO takes every token."""
    groups, responses = len(part) // experience.rewards.shape[1], experience.rewards.shape[1]
    lengths = experience.lengths[part]
    if objective.zero_variance == "drop":
        constant = zero_variance_groups(experience.rewards).repeat_interleave(responses)[part]
        lengths = lengths.masked_fill(constant, 0)
    group = torch.arange(len(part)) // responses
    units = {
        "global": torch.zeros_like(group),
        "rank": group * ranks // groups,  # consecutive groups, as even as they can be shared out
        "mini_batch": group // objective.mini_batch_prompts,
    }[objective.budget_scope]
    return select_tokens(
        lengths,
        None if objective.loss == "grpo" else objective.token_budget,
        order=fill_order(groups, responses, objective.fill_order, generator),
        units=units,
        last_response=objective.last_response,
        under_fill=objective.under_fill,
    )


def update_batch(experience: Experience, advantages: Tensor, selection: Selection, part: Tensor) -> UpdateBatch:
    """The sequences of one optimiser step: those of ``part`` with a token in Psi, each cut behind its last one."""
    taken = [(int(i), int(k)) for i, k in zip(part, selection.kept, strict=True) if k > 0]
    rollouts = [experience.rollouts[i] for i, _ in taken]
    cuts = [k for _, k in taken]
    routed = [
        rollout.routed_experts[: len(rollout.prompt) + k]
        for rollout, k in zip(rollouts, cuts, strict=True)
        if rollout.routed_experts is not None
    ]
    index = torch.tensor([i for i, _ in taken], dtype=torch.long)
    return UpdateBatch(
        prompts=[rollout.prompt for rollout in rollouts],
        responses=[rollout.response[:k] for rollout, k in zip(rollouts, cuts, strict=True)],
        lengths=experience.lengths[index],
        advantages=advantages[index],
        divisor=selection.divisor,
        tokens=selection.tokens,
        update_responses=len(part),
        sampling_logprobs=[rollout.logprobs[:k] for rollout, k in zip(rollouts, cuts, strict=True)],
        routed_experts=routed if routed and len(routed) == len(rollouts) else None,
    )


def experience_metrics(experience: Experience) -> dict[str, Any]:
    """What the rollouts say, before any cut."""
    lengths = experience.lengths
    return {
        "reward": float(experience.rewards.mean()),
        "zero_variance_share": float(zero_variance_groups(experience.rewards).double().mean()),
        "response_length": float(lengths.double().mean()),
        "response_length_max": int(lengths.max()),
        "truncated_share": sum(rollout.truncated for rollout in experience.rollouts) / len(experience.rollouts),
        "tokens_generated": int(lengths.sum()),
    }


def update_metrics(updates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The means of the updates of one iteration; tokens are summed, and a figure that none has stays None."""
    merged: dict[str, Any] = {}
    for name in updates[0]:
        values = [update[name] for update in updates if update[name] is not None]
        if name == "tokens_trained":
            merged[name] = sum(values)
        elif values and isinstance(values[0], list):
            merged[name] = torch.tensor(values, dtype=torch.float64).mean(0).tolist()
        else:
            merged[name] = sum(values) / len(values) if values else None
    return merged
