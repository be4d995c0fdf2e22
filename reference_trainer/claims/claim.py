"""A finding of the paper as a claim that can fail: hypothesis and test are fixed before the experiment is run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy import stats

from reference_trainer.claims.lab import Lab
from reference_trainer.report.chart import Series

Verdict = Literal["supported", "not supported", "not testable at this scale"]
ALPHA = 0.05


@dataclass(frozen=True)
class Part:
    """One statement of a claim and what came of it.

    Attributes:
        statement: What would have to be true.
        verdict: What the test says of it.
        why: The figures in a sentence.
        per_seed: The statistic of each seed; positive speaks for the statement.
        p_value: One-sided, of the test over seeds; None where nothing could be tested.
    """

    statement: str
    verdict: Verdict
    why: str
    per_seed: tuple[float, ...] = ()
    p_value: float | None = None


@dataclass(frozen=True)
class Plot:
    """One picture of an experiment."""

    title: str
    series: tuple[Series, ...]
    x_name: str


@dataclass(frozen=True)
class Outcome:
    """What an experiment gave."""

    parts: tuple[Part, ...]
    numbers: dict[str, Any]
    plots: tuple[Plot, ...]

    @property
    def verdict(self) -> str:
        """One verdict where all parts agree, else each with how many."""
        found = [part.verdict for part in self.parts]
        if len(set(found)) == 1:
            return found[0]
        return "; ".join(f"{verdict}: {found.count(verdict)} of {len(found)}" for verdict in dict.fromkeys(found))


@dataclass(frozen=True)
class Claim:
    """One finding.

    Attributes:
        name: Of its files and of the command.
        finding: What the paper says, in our words, with its place.
        hypothesis: What has to be seen here if it holds at this scale.
        experiment: What is trained.
        test: How the hypothesis is tested.
        run: Does it for these seeds.
    """

    name: str
    finding: str
    hypothesis: str
    experiment: str
    test: str
    run: Callable[[Lab, Sequence[int]], Outcome]


def over_seeds(statement: str, values: Sequence[float], unit: str, *, least: float = 0.0) -> Part:
    """One-sided t-test that the mean over seeds is above ``least``; seeds are the only source of error that counts.

    Equal values in all seeds leave no error to test with: then the p-value is that of a sign test.
    """
    count, mean = len(values), sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (count - 1)) if count > 1 else math.nan
    if count < 3:
        return Part(statement, "not testable at this scale", f"{count} seeds are too few", tuple(values))
    if spread <= 1e-9 * abs(mean):  # equal but for rounding
        p_value = 0.5**count if mean > least else 1.0
    else:
        p_value = float(stats.ttest_1samp(values, least, alternative="greater").pvalue)
    half = float(stats.t.ppf(0.975, count - 1)) * spread / math.sqrt(count)
    verdict: Verdict = "supported" if p_value < ALPHA else "not supported"
    interval = f"95 % interval {mean - half:.3g} to {mean + half:.3g}"
    why = f"mean {mean:.3g} {unit} ({interval}), p = {p_value:.2g}, {count} seeds"
    return Part(statement, verdict, why, tuple(values), p_value)


def untestable(statement: str, why: str) -> Part:
    """A statement that nothing here speaks for or against."""
    return Part(statement, "not testable at this scale", why)


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation: standard deviation (n - 1) over the mean."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) / mean


def smoothed(values: Sequence[float], window: int = 5) -> list[float]:
    """Mean of each value and up to ``window`` - 1 before it."""
    return [sum(values[max(0, i - window + 1) : i + 1]) / min(i + 1, window) for i in range(len(values))]


def collapse(rewards: Sequence[float], share: float = 0.5) -> int | None:
    """The first step from which the smoothed reward stays below ``share`` of its maximum so far; None: never."""
    line = smoothed(rewards)
    best = [max(line[: i + 1]) for i in range(len(line))]
    below = [value < share * high for value, high in zip(line, best, strict=True)]
    if not below[-1]:
        return None
    last_above = max((i for i, under in enumerate(below) if not under), default=-1)
    return last_above + 1


def mean_line(name: str, lines: Sequence[Sequence[float]], style: int) -> Series:
    """The mean over seeds at each step."""
    length = min(len(line) for line in lines)
    return Series(
        name, list(range(1, length + 1)), [sum(line[i] for line in lines) / len(lines) for i in range(length)], style
    )
