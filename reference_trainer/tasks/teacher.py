"""The programmatic teacher: careful, and hasty every now and then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from harness.errors import UsageError
from reference_trainer.tasks.problem import DOMAINS, Domain, ToyProblem
from reference_trainer.tasks.problems import TOYS, draw_problems

HASTY_SHARE = 0.35
"""Share of blind guesses: it bounds what imitation can reach, so that reinforcement learning has room."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A problem with a response of the teacher (without the end token), for supervised fine-tuning."""

    problem: ToyProblem
    response: str
    teacher: Literal["careful", "hasty"]


def demonstrate(problem: ToyProblem, random: Random, hasty_share: float = HASTY_SHARE) -> Demonstration:
    """One response; with probability ``hasty_share`` it is a blind guess."""
    toy = TOYS[problem.domain]
    if random.random() < hasty_share:
        return Demonstration(problem, toy.hasty(problem, random), "hasty")
    return Demonstration(problem, toy.careful(problem), "careful")


def demonstrations(
    count: int, seed: int, hasty_share: float = HASTY_SHARE, domains: Sequence[Domain] = DOMAINS
) -> Iterator[Demonstration]:
    """``count`` demonstrations of training problems, the domains in turn.

    Raises:
        UsageError: ``hasty_share`` is no probability, or no domain is named.
    """
    if not 0 <= hasty_share <= 1:
        raise UsageError(f"hasty_share is {hasty_share}; it must lie in [0, 1]")
    if not domains:
        raise UsageError("no domain to demonstrate; name at least one")
    random = Random(f"{seed}/teacher")
    sources = [draw_problems(domain, "train", seed) for domain in domains]
    for number in range(count):
        yield demonstrate(next(sources[number % len(sources)]), random, hasty_share)
