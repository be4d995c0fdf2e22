"""Rollouts and rewards on several ranks: each does its share, and all end with the same results in the same order.

A response costs seconds and its verification may time out, so no rank repeats what another has done; and since every
rank cuts its part of an update out of the whole rollout, all have to see the very same one.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import TypeVar

from torch import Tensor

from reference_trainer.engine.update import UpdateEngine
from reference_trainer.rollout.rollout import Rollout, RolloutEngine, RolloutRequest, Sampling
from reference_trainer.rollout.transformers_engine import TransformersEngine

P = TypeVar("P")
T = TypeVar("T")


class DistributedRollouts:
    """A rollout engine whose requests are shared out over the ranks of ``engine``; see ``RolloutEngine``.

    Args:
        sampler: This rank's own rollout engine.
        engine: Knows the ranks, and holds the policy.
        tensor_parallel: Neighbouring ranks that draw the same requests together, as they split one copy of the model.
    """

    def __init__(self, sampler: RolloutEngine, engine: UpdateEngine, tensor_parallel: int = 1):
        self.sampler, self.engine, self.tensor_parallel = sampler, engine, tensor_parallel

    def generate(self, requests: Sequence[RolloutRequest], sampling: Sampling) -> list[Rollout]:
        """Draws one response a request, and returns all of them in the order of the requests on every rank.

        Consecutive requests, which share a prompt, go to the same rank: it prefills each prompt once.
        """
        own = _share(requests, self.engine.rank // self.tensor_parallel, self.engine.world_size // self.tensor_parallel)
        decodes_with_policy = isinstance(self.sampler, TransformersEngine)
        with self.engine.whole_weights() if decodes_with_policy else nullcontext():
            rollouts = self.sampler.generate(own, sampling)
        return _joined(self.engine.gather(rollouts)[:: self.tensor_parallel])

    def close(self) -> None:
        """Gives back what this rank's engine holds."""
        self.sampler.close()

    def update_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Hands new weights to this rank's engine."""
        self.sampler.update_weights(weights)


def distributed_reward(
    reward: Callable[[Sequence[P], Sequence[Rollout]], Sequence[float]], engine: UpdateEngine
) -> Callable[[Sequence[P], Sequence[Rollout]], Sequence[float]]:
    """``reward`` with the responses shared out over the ranks: each is verified once, all ranks have all rewards."""

    def shared(prompts: Sequence[P], rollouts: Sequence[Rollout]) -> Sequence[float]:
        rank, ranks = engine.rank, engine.world_size
        own = [float(value) for value in reward(_share(prompts, rank, ranks), _share(rollouts, rank, ranks))]
        return _joined(engine.gather(own))

    return shared


def _share(items: Sequence[T], number: int, shares: int) -> list[T]:
    """Consecutive items, as even as they can be shared out."""
    return list(items[len(items) * number // shares : len(items) * (number + 1) // shares])


def _joined(parts: Sequence[Sequence[T]]) -> list[T]:
    return [item for part in parts for item in part]
