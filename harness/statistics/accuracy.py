"""avg@n, its two standard errors and their intervals.

Sources: binomial sampling within fixed problems for SE_samp; Miller, "Adding Error Bars to Evals" (arXiv 2411.00640),
for the error over problems. With unequal n_i the sums below are the ones that the equal-n formulas reduce to.
"""

import math
from dataclasses import dataclass

import numpy as np

from .counts import Counts, FloatArray
from .distributions import normal_quantile, t_quantile

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval, in the unit of the score."""

    low: float
    high: float
    level: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def avg_at_n(counts: Counts) -> float:
    """A = mean p_i: the mean accuracy over problems, also called pass@1; NaN without problems."""
    return float(counts.rates.mean()) if counts.problems else NAN


def within_variance(counts: Counts, *, floor: bool = True) -> float:
    """v: the mean within-problem variance of a single sample, in squared score units.

    n >= 2: v = mean[ p_i (1 - p_i) n_i / (n_i - 1) ], unbiased.
    v = 0 (every problem always or never right): p_i is replaced by (c_i + 1/2)/(n_i + 1), so that a short run never
    claims certainty. n = 1: the variance within a problem cannot be seen, and v <= A (1 - A) is used with equality; at
    A = 0 or 1 with A = (C + 1/2)/(P + 1). With ``floor=False`` the plain estimate is returned, NaN where n = 1.
    NaN without problems.
    """
    if not counts.problems:
        return NAN
    if counts.fewest == 1:
        if not floor:
            return NAN
        mean = avg_at_n(counts)
        if mean in (0.0, 1.0):
            mean = (mean * counts.problems + 0.5) / (counts.problems + 1)
        return mean * (1 - mean)
    n = counts.samples
    v = float(np.mean(_bernoulli(counts.rates) * n / (n - 1)))
    if v == 0 and floor:
        v = float(np.mean(_bernoulli((counts.correct + 0.5) / (n + 1)) * n / (n - 1)))
    return v


def _bernoulli(p: FloatArray) -> FloatArray:
    return p * (1 - p)


def se_samp(counts: Counts, *, floor: bool = True) -> float:
    """SE_samp = sqrt( v / (P n) ): the same problems, new samples. The error that decides a reproduction.

    Unequal n_i: sqrt( sum_i v_i / n_i ) / P. Floors as in :func:`within_variance`.
    """
    if not counts.problems:
        return NAN
    n = counts.samples
    if counts.fewest >= 2:
        variance = float(np.sum(_bernoulli(counts.rates) / (n - 1)))
        if variance > 0 or not floor:
            return math.sqrt(variance) / counts.problems
    v = within_variance(counts, floor=floor)
    return math.sqrt(v / (counts.problems * counts.samples_per_problem)) if not math.isnan(v) else NAN


def se_total(counts: Counts, *, floor: bool = True) -> float:
    """SE_total = sd(p_i, ddof 1) / sqrt(P): new problems too. It already holds the sampling noise.

    NaN for fewer than 2 problems. Where all p_i are equal the spread between problems cannot be seen, and the
    (floored) SE_samp stands in: in expectation SE_total is never smaller.
    """
    if counts.problems < 2:
        return NAN
    error = float(counts.rates.std(ddof=1)) / math.sqrt(counts.problems)
    return se_samp(counts) if error == 0 and floor else error


def sampling_interval(counts: Counts, level: float = 0.95) -> Interval:
    """A +- z SE_samp, cut to [0, 1]: where the mean of endlessly many samples of these problems lies."""
    z = float(normal_quantile((1 + level) / 2))
    return _interval(avg_at_n(counts), z * se_samp(counts), level)


def total_interval(counts: Counts, level: float = 0.95) -> Interval:
    """A +- t_{P-1} SE_total, cut to [0, 1]: how good the model is on problems like these."""
    if counts.problems < 2:
        return Interval(NAN, NAN, level)
    t = t_quantile((1 + level) / 2, counts.problems - 1)
    return _interval(avg_at_n(counts), t * se_total(counts), level)


def _interval(centre: float, half: float, level: float) -> Interval:
    if math.isnan(centre) or math.isnan(half):
        return Interval(NAN, NAN, level)
    return Interval(max(0.0, centre - half), min(1.0, centre + half), level)
