"""The programmatic teacher: careful, and hasty every now and then."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from harness.errors import UsageError
from reference_trainer.tasks.problem import DOMAINS, Domain, ToyProblem
from reference_trainer.tasks.problems import TOYS, draw_problems

HASTY_SHARE = 0.35
"""Share of blind guesses: it bounds what imitation can reach, so that reinforcement learning has room."""
EQUAL_SHARES: Mapping[Domain, float] = dict.fromkeys(DOMAINS, 1.0)


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
    count: int, seed: int, hasty_share: float = HASTY_SHARE, shares: Mapping[Domain, float] = EQUAL_SHARES
) -> Iterator[Demonstration]:
    """``count`` demonstrations of training problems, the domains drawn in proportion to ``shares``.

    Raises:
        UsageError: ``hasty_share`` is no probability, or no domain has a share.
    """
    if not 0 <= hasty_share <= 1:
        raise UsageError(f"hasty_share is {hasty_share}; it must lie in [0, 1]")
    if not any(shares.values()) or min(shares.values()) < 0:
        raise UsageError(f"the shares of the domains are {dict(shares)}; give at least one a positive share, none less")
    random = Random(f"{seed}/teacher")
    sources = {domain: draw_problems(domain, "train", seed) for domain in shares}
    for domain in random.choices(list(shares), list(shares.values()), k=count):
        yield demonstrate(next(sources[domain]), random, hasty_share)
