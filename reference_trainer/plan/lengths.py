"""Where response lengths come from: a lognormal law with a mean that moves, or what a run has measured."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from harness.errors import UsageError
from harness.loaders.read import read_rows


@dataclass(frozen=True)
class Lognormal:
    """Lengths min(X, limit), X lognormal: what a policy writes under a length limit is skewed and piles up there.

    Attributes:
        mean: Mean after the limit, of the first step.
        sigma: Standard deviation of log X.
        limit: Longest response.
        growth: Relative change of the mean a step; -0.005 halves it in 139 steps.
        drift: Standard deviation of the log mean over steps, as a stationary process.
        memory: Its correlation from one step to the next.
        prompt_share: Share of sigma^2 that lies between prompts, the rest being between responses to one prompt.
    """

    mean: float
    sigma: float
    limit: int
    growth: float = 0.0
    drift: float = 0.0
    memory: float = 0.9
    prompt_share: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.mean < self.limit:
            raise UsageError(f"the mean length {self.mean:g} must lie between 1 and the limit {self.limit}")
        if self.sigma <= 0 or not 0 <= self.prompt_share <= 1 or not 0 <= self.memory < 1 or self.drift < 0:
            raise UsageError("lengths need sigma above 0, drift at least 0, prompt share in [0, 1], memory in [0, 1)")
        if self.growth <= -1:
            raise UsageError(f"growth {self.growth:g} would make lengths negative: it is the relative change a step")

    def means(self, steps: int, random: np.random.Generator) -> NDArray[np.float64]:
        """[steps] mean lengths, at most 0.98 of the limit."""
        noise = np.zeros(steps)
        state = random.standard_normal()
        for step in range(steps):
            noise[step] = state
            state = self.memory * state + math.sqrt(1 - self.memory**2) * random.standard_normal()
        moved = self.mean * (1 + self.growth) ** np.arange(steps) * np.exp(self.drift * noise)
        return np.clip(moved, 1.0, 0.98 * self.limit)

    def at(self, mean: float) -> float:
        """mu of the lognormal whose mean after the limit is ``mean``."""
        low, high = -5.0, math.log(self.limit) + 8 * self.sigma
        for _ in range(80):
            middle = (low + high) / 2
            if limited_mean(middle, self.sigma, self.limit) < mean:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def draw_at(self, mean: float, prompts: int, responses: int, random: np.random.Generator) -> NDArray[np.int64]:
        """[prompts, responses] lengths of this mean."""
        between = math.sqrt(self.prompt_share) * random.standard_normal((prompts, 1))
        within = math.sqrt(1 - self.prompt_share) * random.standard_normal((prompts, responses))
        lengths = np.exp(self.at(mean) + self.sigma * (between + within))
        return np.clip(np.ceil(lengths), 1, self.limit).astype(np.int64)

    def describe(self) -> str:
        """What is drawn, in one sentence."""
        return (
            f"lognormal lengths of mean {self.mean:,.0f} under a limit of {self.limit:,}, sigma {self.sigma:g}, of "
            f"whose variance {self.prompt_share:.0%} is between prompts; the mean changes by {self.growth:+.2%} a step "
            f"and wanders by {self.drift:.0%} with a memory of {self.memory:g}"
        )


def limited_mean(mu: float, sigma: float, limit: float) -> float:
    """E min(X, c) of a lognormal: exp(mu + s^2 / 2) Phi(z - s) + c (1 - Phi(z)), z = (ln c - mu) / s."""
    z = (math.log(limit) - mu) / sigma
    return float(math.exp(mu + sigma**2 / 2) * ndtr(z - sigma) + limit * ndtr(-z))


def sigma_of(median: float, percentile90: float) -> float:
    """sigma of a lognormal from two of its percentiles: ln(p90 / p50) / 1.2816."""
    if not 0 < median < percentile90:
        raise UsageError(f"percentiles must rise: the median is {median:g}, the 90th percentile {percentile90:g}")
    return math.log(percentile90 / median) / 1.2815515655446004


@dataclass(frozen=True)
class Measured:
    """What a run has measured, scaled to another mean.

    Attributes:
        steps: Mean length, and lengths where they were recorded, of each measured step.
        scale: What they are multiplied with.
        shape: Law of lengths around the mean of a step that recorded no more than that.
        source: For messages.
    """

    steps: tuple[tuple[float, tuple[int, ...]], ...]
    scale: float
    shape: Lognormal
    source: str

    def draw_at(self, step: int, prompts: int, responses: int, random: np.random.Generator) -> NDArray[np.int64]:
        """[prompts, responses] lengths of a step; a simulation that is longer than the run begins it again."""
        mean, lengths = self.steps[step % len(self.steps)]
        if not lengths:
            scaled = min(max(1.0, mean * self.scale), 0.98 * self.shape.limit)
            return self.shape.draw_at(scaled, prompts, responses, random)
        drawn = random.choice(np.asarray(lengths), (prompts, responses)) * self.scale
        return np.clip(np.rint(drawn), 1, self.shape.limit).astype(np.int64)

    def describe(self) -> str:
        """What is drawn, in one sentence."""
        kind = "recorded lengths" if any(lengths for _, lengths in self.steps) else "recorded means, lognormal around"
        return f"{len(self.steps)} steps of {self.source} ({kind}), scaled by {self.scale:,.1f}"


def read_measured(path: Path, shape: Lognormal) -> Measured:
    """Reads ``metrics.jsonl`` of a run (``response_length``), or rows of ``step`` and ``length`` or ``lengths``.

    Lengths are scaled so that the mean over all steps is the mean of ``shape``.

    Raises:
        UsageError: The file cannot be read or holds no lengths.
    """
    steps: dict[int, list[int]] = {}
    means: dict[int, float] = {}
    for number, row in enumerate(read_rows(path), 1):
        step = int(row.get("step", 1))
        if "lengths" in row or "length" in row:
            values = row["lengths"] if "lengths" in row else [row["length"]]
            steps.setdefault(step, []).extend(_positive(value, path, number) for value in values)
        elif isinstance(row.get("response_length"), int | float):
            means[step] = float(row["response_length"])
    for step, values in steps.items():
        means[step] = float(np.mean(values))
    if not means or min(means.values()) <= 0:
        raise UsageError(
            f"{path} holds no lengths: rows need response_length (metrics.jsonl of a run), length, or lengths"
        )
    ordered = tuple((means[step], tuple(steps.get(step, ()))) for step in sorted(means))
    return Measured(ordered, shape.mean / float(np.mean([mean for mean, _ in ordered])), shape, path.name)


def _positive(value: Any, path: Path, number: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{path}, row {number}: a length is a whole number of tokens above 0, not {value!r}")
    return value


class Trajectory:
    """The lengths of every step of a run; equal seeds give equal lengths to any algorithm.

    Args:
        source: Their law.
        steps: Of the run.
        seed: Of all that is drawn.
    """

    def __init__(self, source: Lognormal | Measured, steps: int, seed: int):
        self._source, self._seed = source, seed
        self._means = source.means(steps, np.random.default_rng([seed, 0])) if isinstance(source, Lognormal) else None

    def draw(self, step: int, prompts: int, responses: int, again: int = 0) -> NDArray[np.int64]:
        """[prompts, responses] lengths of a step; ``again`` = 1, 2, ... are further prompts of the same step."""
        random = np.random.default_rng([self._seed, 1, step, again])
        if isinstance(self._source, Measured):
            return self._source.draw_at(step, prompts, responses, random)
        assert self._means is not None
        return self._source.draw_at(float(self._means[step]), prompts, responses, random)
