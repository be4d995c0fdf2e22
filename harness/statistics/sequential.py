"""Looking at a run while it grows: boundaries that keep the error rate over several looks.

D_k = A_k - B at look k holds all samples so far and the same published B each time, so Cov(D_j, D_k) = Var(D_k) for
j < k. That is the canonical joint distribution of group-sequential tests with information I_k = 1/Var(D_k), although
part of the variance never shrinks. Sources: Lan and DeMets (1983) for error spending; Jennison and Turnbull (2000),
chapter 19, for the recursion.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import UsageError
from harness.statistics.counts import FloatArray
from harness.statistics.distributions import normal_above, normal_density, normal_quantile

Spending = Literal["obrien-fleming", "pocock"]
_GRID = 601
_REACH = 8.0  # standard deviations that the recursion integrates over


def spent(fraction: float, alpha: float, spending: Spending) -> float:
    """One-sided error spent by the information fraction t in (0, 1].

    obrien-fleming: 2 - 2 Phi( z_{1-alpha/2} / sqrt(t) ); pocock: alpha ln(1 + (e - 1) t).
    """
    if fraction >= 1:
        return alpha
    if spending == "pocock":
        return alpha * math.log(1 + (math.e - 1) * fraction)
    return float(2 * normal_above(normal_quantile(1 - alpha / 2) / math.sqrt(fraction)))


def boundaries(
    information: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien-fleming"
) -> tuple[float, ...]:
    """Critical values c_k, one a look: the chance that Z_j > c_j at any look is ``alpha`` when the mean of Z is 0.

    Args:
        information: I_1 < ... < I_K, in any unit.
        alpha: One-sided error rate over all looks.
        spending: How it is spent.

    Raises:
        UsageError: The information does not grow.
    """
    levels = np.asarray(information, dtype=float)
    if levels.size == 0 or levels[0] <= 0 or np.any(np.diff(levels) <= 0):
        raise UsageError("looks need information that grows from look to look")
    used, found = 0.0, []
    grid: FloatArray | None = None
    density: FloatArray | None = None
    for k, level in enumerate(levels):
        share = spent(float(level / levels[-1]), alpha, spending) - used
        # On the scale of the score statistic S_k = Z_k sqrt(I_k), whose increments are independent.
        sd = math.sqrt(level)
        step = math.sqrt(level - (levels[k - 1] if k else 0.0))
        if share <= 1e-12:
            limit = _REACH
        elif grid is None or density is None:
            limit = float(-normal_quantile(share))
        else:
            limit = _limit(grid, density, step, sd, share)
        found.append(limit)
        used += max(share, 0.0)
        points = np.linspace(-_REACH * sd, limit * sd, _GRID)
        if grid is None or density is None:
            density = normal_density(points / sd) / sd
        else:
            kernel = normal_density((points[:, None] - grid[None, :]) / step) / step
            density = kernel @ (density * _weights(grid))
        grid = points
    return tuple(found)


def _limit(grid: FloatArray, density: FloatArray, step: float, sd: float, share: float) -> float:
    """c with P(not crossed before, S > c sd) = share."""
    from scipy import optimize

    weighted = density * _weights(grid)

    def excess(limit: float) -> float:
        return float(weighted @ normal_above((limit * sd - grid) / step)) - share

    return float(optimize.brentq(excess, -_REACH, _REACH, xtol=1e-10))


def _weights(grid: FloatArray) -> FloatArray:
    """Simpson's weights."""
    weights = np.full(grid.size, 2.0)
    weights[1::2] = 4.0
    weights[0] = weights[-1] = 1.0
    weights *= (grid[1] - grid[0]) / 3
    return weights


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of a sequential run, by Monte Carlo.

    Attributes:
        reproduced, refuted: Chances of the two verdicts at any look; the rest stays inconclusive.
        stop: Chance to stop at each look; the last also holds those that stay open.
        expected: Mean of ``sizes`` at the stop.
    """

    reproduced: float
    refuted: float
    stop: tuple[float, ...]
    expected: float


def course(
    information: Sequence[float],
    limits: Sequence[float],
    margin: float,
    truth: float,
    sizes: Sequence[float],
    *,
    draws: int = 20_000,
    seed: int = 0,
) -> Course:
    """Simulates the verdict at each look for a true difference ``truth``; ``sizes``: cost of stopping at each look."""
    levels, bounds = np.asarray(information, dtype=float), np.asarray(limits, dtype=float)
    rng = np.random.default_rng(seed)
    gains = np.diff(levels, prepend=0.0)
    score = np.cumsum(rng.normal(truth * gains, np.sqrt(gains), (draws, levels.size)), axis=1)
    difference, se = np.abs(score / levels), 1 / np.sqrt(levels)
    same, far = difference + bounds * se < margin, difference - bounds * se > margin
    decided = same | far
    first = np.where(decided.any(1), decided.argmax(1), levels.size - 1)
    rows = np.arange(draws)
    return Course(
        reproduced=float(same[rows, first].mean()),
        refuted=float(far[rows, first].mean()),
        stop=tuple(float((first == k).mean()) for k in range(levels.size)),
        expected=float(np.asarray(sizes, dtype=float)[first].mean()),
    )
