"""pass@k and G-Pass@k from n >= k samples a problem."""

import math
from fractions import Fraction

import numpy as np

from harness.errors import UsageError

from .accuracy import NAN
from .counts import Counts, FloatArray
from .distributions import drawn_at_least


def pass_at_k(counts: Counts, k: int) -> float:
    """pass@k = mean[ 1 - C(n - c, k) / C(n, k) ]: the chance that at least one of k samples is right.

    Source: the unbiased estimator of Chen et al. (arXiv 2107.03374). NaN where a problem has fewer than k samples.
    """
    return g_pass_at_k(counts, k, 0.0)


def pass_at_k_per_problem(counts: Counts, k: int) -> FloatArray:
    """The estimate for each problem, shape (P,); NaN where n_i < k."""
    return _at_least(counts, k, 1)


def g_pass_at_k(counts: Counts, k: int, tau: float | Fraction) -> float:
    """G-Pass@k_tau = mean sum_{j >= max(ceil(tau k), 1)} C(c, j) C(n - c, k - j) / C(n, k).

    The chance that at least the share ``tau`` of k samples is right; tau = 0 is pass@k, tau = 1 all of them.
    Source: Liu et al. (arXiv 2412.13147). NaN where a problem has fewer than k samples.
    """
    share = tau if isinstance(tau, Fraction) else Fraction(str(tau))  # 0.1 * 30 must not become 3.0000000000000004
    if not 0 <= share <= 1:
        raise UsageError(f"tau is {tau}; it is a share between 0 and 1")
    return _mean(_at_least(counts, k, max(math.ceil(share * k), 1)))


def mg_pass_at_k(counts: Counts, k: int) -> float:
    """mG-Pass@k = 2/k sum_{i = ceil(k/2)+1}^{k} G-Pass@k_{i/k}, the area over tau in (0.5, 1].

    Source: Liu et al. (arXiv 2412.13147). NaN where n < k or k < 2.
    """
    if k < 2:
        return NAN
    steps = range(math.ceil(k / 2) + 1, k + 1)
    return 2 / k * math.fsum(_mean(_at_least(counts, k, step)) for step in steps)


def _at_least(counts: Counts, k: int, least: int) -> FloatArray:
    if k < 1:
        raise UsageError(f"k is {k}; it counts samples and must be at least 1")
    chance = np.full(counts.problems, np.nan)
    enough = counts.samples >= k
    pairs = zip(counts.samples[enough].tolist(), counts.correct[enough].tolist(), strict=True)
    # k draws without replacement from n with c right ones: hypergeometric, P(at least `least` right).
    chance[enough] = [drawn_at_least(least, n, c, k) for n, c in pairs]
    return chance


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else NAN
