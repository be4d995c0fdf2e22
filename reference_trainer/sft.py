"""Supervised fine-tuning: one update a step, every epoch in its own order, resumable bitwise."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.errors import UsageError
from reference_trainer.config import OptimizerConfig
from reference_trainer.engine import UpdateBatch, UpdateEngine
from reference_trainer.recipe import SFTConfig
from reference_trainer.stream import Prompt, PromptStream
from reference_trainer.trainer import Trainer


@dataclass(frozen=True)
class Example:
    """A prompt, which is read, and a response, which is learnt; token ids, at least one each."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


def fitting(examples: Sequence[Example], max_tokens: int) -> list[Example]:
    """The examples of at most ``max_tokens``.

    Raises:
        UsageError: There is none.
    """
    kept = [example for example in examples if len(example) <= max_tokens]
    if not kept:
        raise UsageError(f"none of {len(examples)} demonstrations fits max_tokens {max_tokens}: raise it")
    return kept


def steps_per_epoch(count: int, config: SFTConfig) -> int:
    """Updates of one epoch over ``count`` examples; the last one of an epoch may be smaller."""
    return math.ceil(count / config.batch_sequences)


def sft_optimizer(config: SFTConfig, count: int) -> OptimizerConfig:
    """The optimiser's settings with the schedule laid over all epochs of ``count`` examples."""
    total = steps_per_epoch(count, config) * config.epochs
    return OptimizerConfig.model_validate(
        config.optimizer.model_dump()
        | {
            "schedule": config.schedule,
            "total_steps": total,
            "warmup_steps": math.ceil(total * config.warmup_share),
        }
    )


class SFTTrainer(Trainer[SFTConfig]):
    """A supervised stage that advances one update a call; see ``loop.run``.

    Args:
        engine: Made with ``config.objective`` and ``sft_optimizer``.
        examples: In a fixed order.
        config: The stage's settings.
        seed: Of the order in each epoch.

    Attributes:
        steps: Updates done.
        per_epoch: Updates of an epoch.
    """

    def __init__(self, engine: UpdateEngine, examples: Sequence[Example], config: SFTConfig, seed: int):
        if engine.objective != config.objective or engine.settings != sft_optimizer(config, len(examples)):
            raise UsageError("the engine was made with another objective or optimizer than the stage's settings")
        sequences = (example.prompt + example.response for example in examples)
        super().__init__(
            engine, PromptStream([Prompt(str(i), tokens) for i, tokens in enumerate(sequences)], seed), config
        )
        self.examples = list(examples)
        self.per_epoch = steps_per_epoch(len(self.examples), config)

    @property
    def total_steps(self) -> int:
        """Updates of all epochs."""
        return self.per_epoch * self.config.epochs

    def epoch_ending_here(self) -> int | None:
        """The epoch, from 1, whose last update was the last step; None in the middle of one."""
        return self.steps // self.per_epoch if self.steps and self.steps % self.per_epoch == 0 else None

    def step(self) -> tuple[dict[str, Any], dict[str, float]]:
        """One update; returns its metrics, a function of the seed, and its timings, which are not."""
        begin = time.perf_counter()
        left = len(self.examples) - self.stream.position % len(self.examples)
        drawn = self.stream.draw(min(self.config.batch_sequences, left))
        batch = example_batch([self.examples[int(prompt.id)] for prompt in drawn])
        engine = self.engine
        [share] = engine.prepare([batch.share(engine.rank, engine.world_size)])
        metrics = engine.update(share)
        self.steps += 1
        metrics["epoch"] = self.steps / self.per_epoch
        seconds = time.perf_counter() - begin
        return metrics, {"seconds": seconds, "tokens_per_second": sum(batch.sizes) / seconds}


def example_batch(examples: Sequence[Example]) -> UpdateBatch:
    """The update over these examples: each target token weighs 1 / (their number)."""
    lengths = torch.tensor([len(example.response) for example in examples])
    return UpdateBatch(
        prompts=[torch.tensor(example.prompt) for example in examples],
        responses=[torch.tensor(example.response) for example in examples],
        lengths=lengths,
        advantages=torch.zeros(len(examples)),
        divisor=float(lengths.sum()),
        tokens=int(lengths.sum()),
        update_responses=len(examples),
    )
