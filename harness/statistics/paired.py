"""Two models, or two runs, on the same problems."""

import math
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError

from .accuracy import NAN, Interval, avg_at_n, se_samp
from .counts import Counts
from .distributions import t_above, t_quantile


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference A - B over shared problems, in score units.

    Attributes:
        problems: P.
        difference: mean d_i with d_i = pA_i - pB_i.
        se: sd(d_i, ddof 1) / sqrt(P); NaN for fewer than 2 problems. For "is A better on problems like these".
        interval: difference +- t_{P-1} se.
        p_value: Two-sided, t with P - 1 degrees of freedom; NaN where it is undefined.
        se_samp: sqrt(SE_samp,A^2 + SE_samp,B^2): the same problems, new samples. For "are these two the same model".
        correlation: Pearson's r of pA_i and pB_i; NaN where one side does not vary.
    """

    problems: int
    difference: float
    se: float
    interval: Interval
    p_value: float
    se_samp: float
    correlation: float


def paired(a: Counts, b: Counts, level: float = 0.95) -> Paired:
    """Compares two runs problem by problem; both must hold the same problems in the same order.

    Source: the paired test over questions of Miller (arXiv 2411.00640), section 4.2. Where all d_i are equal the spread
    is not visible and ``se`` falls back to ``se_samp``.
    """
    if a.problems != b.problems:
        raise UsageError(
            f"paired comparison needs the same problems; one side has {a.problems}, the other {b.problems}"
        )
    problems = a.problems
    both = math.hypot(se_samp(a), se_samp(b))
    if problems < 2:
        difference = avg_at_n(a) - avg_at_n(b)
        return Paired(problems, difference, NAN, Interval(NAN, NAN, level), NAN, both, NAN)
    d = a.rates - b.rates
    difference = float(d.mean())
    se = float(d.std(ddof=1)) / math.sqrt(problems) or both
    t = difference / se
    half = t_quantile((1 + level) / 2, problems - 1) * se
    varies = a.rates.std() > 0 and b.rates.std() > 0
    return Paired(
        problems=problems,
        difference=difference,
        se=se,
        interval=Interval(difference - half, difference + half, level),
        p_value=2 * t_above(abs(t), problems - 1),
        se_samp=both,
        correlation=float(np.corrcoef(a.rates, b.rates)[0, 1]) if varies else NAN,
    )
