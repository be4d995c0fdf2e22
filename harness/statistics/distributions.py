"""The distributions of the tests, from scipy's special functions: importing ``scipy.stats`` takes 0.5 s and 46 MB.

Each takes what the function of ``scipy.stats`` takes that its docstring names, and returns the same values.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special


def normal_quantile(p: Any) -> Any:
    """``norm.ppf``: z with P(Z <= z) = p."""
    return special.ndtri(p)


def normal_below(z: Any) -> Any:
    """``norm.cdf``: P(Z <= z)."""
    return special.ndtr(z)


def normal_above(z: Any) -> Any:
    """``norm.sf``: P(Z > z)."""
    return special.ndtr(-z)


def normal_density(z: Any) -> Any:
    """``norm.pdf``."""
    return np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)


def t_quantile(p: float, degrees: float) -> float:
    """``t.ppf``; NaN for no degrees of freedom."""
    return float(special.stdtrit(degrees, p))


def t_above(t: float, degrees: float) -> float:
    """``t.sf``: P(T > t); NaN for no degrees of freedom."""
    return float(special.stdtr(degrees, -t))


def chi_square_above(q: float, degrees: float) -> float:
    """``chi2.sf``: P(X > q), for at least 1 degree of freedom."""
    return float(special.chdtrc(degrees, q))


@lru_cache(maxsize=1 << 16)
def drawn_at_least(least: int, n: int, right: int, k: int) -> float:
    """``hypergeom.sf(least - 1, n, right, k)``, to the last digit: P(at least ``least`` right ones).

    Args:
        least: Number of right ones wanted.
        n: Size of the whole.
        right: Right ones among them.
        k: Number drawn, without replacement; at most ``n``.
    """
    fewest, most = max(0, k - (n - right)), min(right, k)
    if least <= fewest:
        return 1.0
    if least - fewest <= most - least + 1:  # the shorter sum; whole numbers, so nothing cancels
        below = sum(math.comb(right, j) * math.comb(n - right, k - j) for j in range(fewest, least))
        return (math.comb(n, k) - below) / math.comb(n, k)
    above = sum(math.comb(right, j) * math.comb(n - right, k - j) for j in range(least, most + 1))
    return above / math.comb(n, k)
