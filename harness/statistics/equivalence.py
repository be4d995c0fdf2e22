"""Two one-sided tests against a margin, and the sample size that decides them.

All arguments and results are in one unit: shares of 1, or points with v in squared points.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .accuracy import NAN, Interval
from .distributions import normal_above, normal_below, normal_quantile

Z_ONE_SIDED = float(normal_quantile(0.95))  # 1.645: each one-sided test at 5 %
Outcome = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The outcome of the two one-sided tests.

    Attributes:
        difference: D = A - B.
        se: SE_D.
        interval: D +- 1.645 SE_D, the 90 % interval that is held against the margin.
        outcome: What the interval says.
        p_equivalent: p-value of the two one-sided tests (of "|D| >= delta").
        p_different: p-value of the test that |D| exceeds the margin (of "|D| <= delta").
        zero_excluded: Whether 0 lies outside the 95 % interval.
    """

    difference: float
    se: float
    interval: Interval
    outcome: Outcome
    p_equivalent: float
    p_different: float
    zero_excluded: bool


def difference_error(v: float, problems: int, ours: float, published: float, half_unit: float) -> float:
    """SE_D = sqrt( v/(P n) + v/(P m) + h^2/3 ); h is half a unit of the last printed digit (uniform error)."""
    return math.sqrt(v / (problems * ours) + v / (problems * published) + half_unit**2 / 3)


def equivalence(difference: float, se: float, margin: float, z: float = Z_ONE_SIDED) -> Equivalence:
    """reproduced when |D| + z SE_D < delta, not reproduced when |D| - z SE_D > delta, inconclusive otherwise.

    Source: Schuirmann's two one-sided tests; the second line is the minimum-effect test of the same margin.
    """
    size = abs(difference)
    if size + z * se < margin:
        outcome: Outcome = "reproduced"
    elif size - z * se > margin:
        outcome = "not reproduced"
    else:
        outcome = "inconclusive"
    return Equivalence(
        difference=difference,
        se=se,
        interval=Interval(difference - z * se, difference + z * se, float(2 * normal_below(z) - 1)),
        outcome=outcome,
        p_equivalent=float(normal_above((margin - size) / se)),
        p_different=float(normal_above((size - margin) / se)),
        zero_excluded=size > float(normal_quantile(0.975)) * se,
    )


def power_factor(power: float = 0.9, alpha: float = 0.05) -> float:
    """z_{1-alpha} + z_{(1+power)/2}: 3.29 at power 90 % and one-sided 5 %, D = 0."""
    return float(normal_quantile(1 - alpha) + normal_quantile((1 + power) / 2))


def samples_needed(
    v: float, problems: int, published: float, half_unit: float, margin: float, power: float = 0.9
) -> float:
    """n >= v / ( P [ (delta/3.29)^2 - v/(P m) - h^2/3 ] ), rounded up; infinity where the bracket is not positive.

    Infinity means undecidable: the published side's own noise fills the margin however much is sampled here.
    """
    bracket = (margin / power_factor(power)) ** 2 - v / (problems * published) - half_unit**2 / 3
    if math.isnan(bracket):
        return NAN
    return math.ceil(v / (problems * bracket)) if bracket > 0 else math.inf


def smallest_margin(v: float, problems: int, published: float, half_unit: float, power: float = 0.9) -> float:
    """3.29 sqrt( v/(P m) + h^2/3 ): the smallest margin that endless samples here could decide."""
    return power_factor(power) * math.sqrt(v / (problems * published) + half_unit**2 / 3)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; NaN stays NaN and is not counted.

    Source: Holm (1979): p_(i) times (m - i + 1), made monotone, at most 1.
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [NAN] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(order):
        running = max(running, min(1.0, p * (len(order) - rank)))
        adjusted[i] = running
    return adjusted
