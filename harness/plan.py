"""Before a run: what it will cost, what it can decide, and when it may stop. All figures in points (percent)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.card import Card
from harness.errors import UsageError
from harness.published import Published
from harness.scoring_types import Score
from harness.statistics import power_factor, samples_needed, smallest_margin
from harness.statistics.equivalence import Equivalence, equivalence
from harness.statistics.sequential import Course, Spending, boundaries, course

# Of A (1 - A): what the paper's benchmarks show is between 0.34 (LiveCodeBench) and 0.54 (GPQA Diamond).
ASSUMED_SHARE = 0.5
VarianceSource = Literal["given", "measured", "assumed"]
LengthSource = Literal["given", "measured", "cap"]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a plan rests on.

    Attributes:
        variance: v in squared points.
        variance_source: "given", "measured" (in a pilot run) or "assumed" (half of A (1 - A) at the published score).
        tokens: Generated tokens a sample; None if not known.
        tokens_source: "given", "measured" or "cap" (the token cap: an upper bound).
        rate: Generated tokens a second of the whole machine; None if not known.
        gpus: GPUs of the machine.
    """

    variance: float
    variance_source: VarianceSource
    tokens: float | None = None
    tokens_source: LengthSource = "given"
    rate: float | None = None
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Look:
    """One look: samples a problem, critical value, and what of the interval has to lie inside the margin."""

    samples: int
    boundary: float
    se: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Fixed looks.

    Attributes:
        spending: How the error rate is spent.
        alpha: One-sided error rate over all looks.
        margin: delta, in points.
        looks: In order; the last one is the whole run.
        equal: What becomes of the run when the two are equal.
        double: The same when they differ by twice the margin.
        at_margin: The same when they differ by the margin: the two error rates.
    """

    spending: Spending
    alpha: float
    margin: float
    looks: tuple[Look, ...]
    equal: Course
    double: Course
    at_margin: Course


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one benchmark.

    Attributes:
        benchmark, title: The card.
        published: The number to reproduce.
        problems: P.
        margin: delta.
        published_samples: m as used.
        needed: Samples a problem that decide at power 90 % when the two are equal; infinity: undecidable.
        samples: n that the costs are for: the one asked for, else ``needed``; 0 when undecidable and none was asked.
        smallest_margin: What endless samples could decide.
        decidable_margin: The smallest margin that ``samples`` can decide with power 90 %.
        visible: The smallest true difference that ``samples`` tell from 0 (two-sided 5 %, power 90 %).
        total: Samples in all.
        tokens: Generated tokens in all; None if not known.
        gpu_hours: None if not known.
        assumptions: What all this rests on.
        schedule: Fixed looks; None without.
    """

    benchmark: str
    title: str
    published: Published
    problems: int
    margin: float
    published_samples: int
    needed: float
    samples: int
    smallest_margin: float
    decidable_margin: float
    visible: float
    total: int
    tokens: float | None
    gpu_hours: float | None
    assumptions: Assumptions
    schedule: Schedule | None


def assumed_variance(published: Published) -> float:
    """v in squared points when nothing is known: half of A (1 - A) at the published score."""
    return ASSUMED_SHARE * published.value * (100 - published.value)


def plan(
    card: Card,
    published: Published,
    assumptions: Assumptions,
    *,
    samples: int | None = None,
    margin: float | None = None,
    looks: int = 1,
    spending: Spending = "obrien-fleming",
) -> Plan:
    """Plans the reproduction of one published number.

    Args:
        card: The benchmark, with its margin.
        published: The number.
        assumptions: Variance, lengths and rate.
        samples: n to plan for; None: as many as are needed.
        margin: In place of the card's.
        looks: Number of looks, at equal steps of samples; 1: only at the end.
        spending: How the looks spend the error rate.

    Raises:
        UsageError: A figure is not usable.
    """
    delta = card.margin if margin is None else margin
    if delta <= 0 or assumptions.variance <= 0 or (samples is not None and samples < 1) or looks < 1:
        raise UsageError("a plan needs a margin, a variance and numbers of samples and looks above 0")
    v, problems = assumptions.variance, published.problems or card.num_problems
    m, h = published.samples or 1, published.half_unit
    needed = samples_needed(v, problems, m, h, delta)
    most = samples if samples is not None else 0 if math.isinf(needed) else int(needed)
    schedule = None
    if looks > 1 and most:
        schedule = _schedule(v, problems, m, h, delta, most, looks, spending, grow=samples is None)
        most = schedule.looks[-1].samples
    se = _se(v, problems, most, m, h) if most else math.nan
    total = problems * most
    tokens = None if assumptions.tokens is None or not most else assumptions.tokens * total
    hours = None if tokens is None or not assumptions.rate else tokens / assumptions.rate / 3600 * assumptions.gpus
    return Plan(
        benchmark=card.name,
        title=card.title,
        published=published,
        problems=problems,
        margin=delta,
        published_samples=m,
        needed=needed,
        samples=most,
        smallest_margin=smallest_margin(v, problems, m, h),
        decidable_margin=power_factor() * se,
        visible=power_factor(0.8, 0.025) * se,
        total=total,
        tokens=tokens,
        gpu_hours=hours,
        assumptions=assumptions,
        schedule=schedule,
    )


def _se(v: float, problems: int, n: float, m: int, h: float) -> float:
    return math.sqrt(v / (problems * n) + v / (problems * m) + h**2 / 3)


def _schedule(
    v: float, problems: int, m: int, h: float, delta: float, most: int, looks: int, spending: Spending, grow: bool
) -> Schedule:
    """Looks at equal steps; where n is ours to choose, the last one is put off until the power is 90 % again."""
    while True:
        sizes = sorted({max(1, round(most * k / looks)) for k in range(1, looks + 1)})
        errors = [_se(v, problems, n, m, h) for n in sizes]
        information = [1 / se**2 for se in errors]
        limits = boundaries(information, 0.05, spending)
        equal = course(information, limits, delta, 0.0, sizes)
        if not grow or equal.reproduced >= 0.9 or most >= 4096:
            break
        most += max(1, most // 20)
    return Schedule(
        spending=spending,
        alpha=0.05,
        margin=delta,
        looks=tuple(Look(n, limit, se) for n, limit, se in zip(sizes, limits, errors, strict=True)),
        equal=equal,
        double=course(information, limits, delta, 2 * delta, sizes),
        at_margin=course(information, limits, delta, delta, sizes),
    )


@dataclass(frozen=True, slots=True)
class LookResult:
    """What a look at a run says: its number (from 1), the test with the look's boundary, and whether to stop."""

    number: int
    of: int
    test: Equivalence
    stop: bool
    next_samples: int | None


def follow(looks: Sequence[Look], margin: float, score: Score, published: Published) -> LookResult:
    """Looks at a run at one of the fixed looks, with that look's boundary.

    Raises:
        UsageError: The run stands between two looks, or is not evenly sampled: looking there would break the schedule.
    """
    at = next((k for k, look in enumerate(looks) if look.samples == score.fewest == score.most), None)
    if at is None or score.problems < score.expected_problems:
        there = f"{score.fewest}" if score.fewest == score.most else f"{score.fewest} to {score.most}"
        wanted = next((look.samples for look in looks if look.samples > score.fewest), looks[-1].samples)
        raise UsageError(
            f"{score.benchmark}: the run has {there} samples a problem, and the schedule looks at "
            f"{', '.join(str(look.samples) for look in looks)}; sample up to -n {wanted} first"
        )
    v, m = 1e4 * score.variance, published.samples or 1
    se = _se(v, score.problems, score.samples_per_problem, m, published.half_unit)
    test = equivalence(100 * score.score - published.value, se, margin, looks[at].boundary)
    last = at == len(looks) - 1
    stop = last or test.outcome != "inconclusive"
    return LookResult(at + 1, len(looks), test, stop, None if stop else looks[at + 1].samples)
