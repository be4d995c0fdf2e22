"""Granularity of printed means (GRIM): which counts k of N = P m samples print as a given figure.

A mean of N right-or-wrong samples is k/N, so only N + 1 figures can be printed. Everything is integer arithmetic; a
figure in percent with d decimals is the integer S = figure * 10^d. Source: Brown and Heathers (2017), "The GRIM test".
"""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from harness.published_table import decimals

Rounding = Literal["half-even", "half-up", "truncate"]
ROUNDINGS: tuple[Rounding, ...] = ("half-even", "half-up", "truncate")


def round_share(k: int, total: int, digits: int, rounding: Rounding) -> int:
    """100 k / total in units of 10^-digits, rounded."""
    unit: int = 10 ** (digits + 2)
    whole, rest = divmod(unit * k, total)
    if rounding == "truncate":
        return whole
    tie = 2 * rest == total
    up = 2 * rest > total or (tie and (rounding == "half-up" or whole % 2 == 1))
    return whole + up


def counts_that_print(figure: str, total: int, rounding: Rounding) -> list[int]:
    """K(s, N, r) = { k : round_r(100 k / N, d) = s }, in ascending order; empty for figures outside 0 to 100."""
    digits = decimals(figure)
    wanted = int(Decimal(figure).scaleb(digits))
    unit = 10 ** (digits + 2)
    low = max(0, (wanted - 1) * total // unit)
    high = min(total, -(-(wanted + 1) * total // unit))
    return [k for k in range(low, high + 1) if round_share(k, total, digits, rounding) == wanted]


def fits(figure: str, total: int, rounding: Rounding | None = None) -> bool:
    """Whether the figure is the printed mean of ``total`` samples; ``rounding`` None: under any of the three rules."""
    return any(counts_that_print(figure, total, rule) for rule in (ROUNDINGS if rounding is None else (rounding,)))


def fits_rounded_runs(figure: str, problems: int, samples: int) -> bool:
    """Whether the figure can be the mean of ``samples`` runs over ``problems`` that were each rounded before.

    Each run is off by at most the largest rounding error that k/P can have, and so is their mean; the mean is rounded
    to the printed figure once more.
    """
    digits = decimals(figure)
    wanted = Fraction(figure)
    reach = Fraction(1, 2 * 10**digits) + largest_rounding_error(problems, digits)
    total = problems * samples
    # The nearest possible mean to the figure decides.
    near = wanted * total / 100
    below = min(total, max(0, near.numerator // near.denominator))
    return any(abs(wanted - Fraction(100 * k, total)) <= reach for k in (below, min(total, below + 1)))


@lru_cache(maxsize=4096)
def largest_rounding_error(problems: int, digits: int) -> Fraction:
    """max over k of | 100 k/P - its rounding to ``digits`` decimals |, in percent."""
    unit = 10 ** (digits + 2)
    # The distances of unit*k/P from the nearest integer are multiples of gcd/P: the largest is found among residues.
    residues = {unit * k % problems for k in range(problems + 1)}
    return Fraction(max(min(rest, problems - rest) for rest in residues), problems * 10**digits)


def chance(total: int, digits: int) -> Fraction:
    """q = (N + 1)/(10^(d+2) + 1): the chance that a random figure fits by luck; 1 where every figure does."""
    return min(Fraction(1), Fraction(total + 1, 10 ** (digits + 2) + 1))


def chance_rounded_runs(problems: int, samples: int, digits: int) -> Fraction:
    """The share of all printable figures that fit when runs were rounded first, counted exactly."""
    total, unit = problems * samples, 10 ** (digits + 2)
    reach = Fraction(1, 2) + largest_rounding_error(problems, digits) * 10**digits
    hits, last = 0, -1
    for k in range(total + 1):
        # Printable figures within reach of the mean unit*k/total, in units of the last digit.
        low = max(-((reach.numerator * total - unit * k * reach.denominator) // (total * reach.denominator)), last + 1)
        high = min((unit * k * reach.denominator + reach.numerator * total) // (total * reach.denominator), unit)
        hits += max(0, high - low + 1)
        last = max(last, high)
    return Fraction(hits, unit + 1)


def ties(figure: str, total: int) -> list[tuple[int, Rounding]]:
    """Exact ties that a figure settles: (k, rule) where 100 k/N lies halfway and only one rule prints it."""
    even = counts_that_print(figure, total, "half-even")
    up = counts_that_print(figure, total, "half-up")
    digits = decimals(figure)
    halfway = {k for k in {*even, *up} if 2 * (10 ** (digits + 2) * k % total) == total}
    found: list[tuple[int, Rounding]] = [(k, "half-even") for k in even if k in halfway and k not in up]
    return found + [(k, "half-up") for k in up if k in halfway and k not in even]
