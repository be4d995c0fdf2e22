"""Ratings from ranks, by the Elo equation and by Codeforces' own published rules.

``expected_rating`` is the formula of CodeElo: the rating of a newcomer whose expected rank is the rank achieved.
``rating_changes`` and ``performances`` are Codeforces' rules (M. Mirzayanov, "Open Codeforces Rating System", 2015):
they differ by the geometric mean of rank and seed, and by an adjustment that lowers all changes of a round so that
ratings do not inflate. Leaving that adjustment out is why the first formula comes out higher; see
``results/codeforces_bias``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LOWEST, _HIGHEST = -2000, 8000
_LOWEST_NEEDED = 1  # Codeforces looks for the rating that a rank needs between 1 and 8000


def _wins(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that an opponent rated ``difference`` points lower than us beats us."""
    return np.asarray(1.0 / (1.0 + 10.0 ** (difference / 400.0)))


@dataclass(frozen=True, slots=True)
class _Field:
    """Expected rank of somebody rated ``r`` who joins the field, for every whole ``r`` from ``_LOWEST`` on."""

    grid: NDArray[np.float64]
    seeds: NDArray[np.float64]

    @staticmethod
    def of(ratings: Sequence[int]) -> "_Field":
        # A histogram of whole ratings convolved with the win curve: the sum over opponents for all r at once.
        lowest, highest = min(ratings), max(ratings)
        people = np.bincount(np.asarray(ratings) - lowest).astype(np.float64)
        curve = _wins(np.arange(_LOWEST - highest, _HIGHEST - lowest, dtype=np.float64))
        return _Field(
            np.arange(_LOWEST, _HIGHEST, dtype=np.float64),
            1.0 + np.convolve(curve, people, mode="valid"),
        )

    def seed(self, rating: int) -> float:
        return float(self.seeds[rating - _LOWEST])

    def rating_for(self, rank: float, without: int | None = None) -> int:
        """Largest rating whose expected rank, without one opponent of rating ``without``, is at least ``rank``."""
        seeds = self.seeds if without is None else self.seeds - _wins(self.grid - without)
        return _LOWEST + int(np.searchsorted(-seeds, -rank, side="right")) - 1


def expected_rating(rank: int, ratings: Sequence[int]) -> int:
    """Largest whole rating r in [0, max + 100) with 1 + sum_i 1/(1 + 10^((r - R_i)/400)) >= rank.

    Args:
        rank: What :func:`harness.codeforces.score.rank_of` gives.
        ratings: Ratings of the official participants before the contest.

    Raises:
        ValueError: No participants.

    Source: CodeElo (Qwen), calc_rating.py at 0bffc84f. The interval bounds the winner, whose rating would be infinite.
    """
    if not len(ratings):
        raise ValueError("a contest without rated participants gives no rating")
    field = _Field.of(ratings)
    return max(min(field.rating_for(rank), max(ratings) + 99), 0)


def _ranks(results: Sequence[tuple[float, float]]) -> list[int]:
    """1-based ranks of (points, penalty); all of a tie take the last place of it, as Codeforces does."""
    order = sorted(range(len(results)), key=lambda i: (-results[i][0], results[i][1]))
    ranks = [0] * len(results)
    last = len(order)
    for position in range(len(order) - 1, -1, -1):
        if position + 1 < len(order) and results[order[position]] != results[order[position + 1]]:
            last = position + 1
        ranks[order[position]] = last
    return ranks


def _raw_change(field: _Field, rank: int, rating: int, own: int) -> int:
    """Change before adjustment at ``rank`` of somebody who is rated ``rating`` and stands in the field as ``own``."""
    seed = field.seed(rating) - float(_wins(np.asarray(float(rating - own))))
    needed = max(field.rating_for(math.sqrt(rank * seed), without=own), _LOWEST_NEEDED)
    return math.trunc((needed - rating) / 2)


def _adjustment(changes: Sequence[int], ratings: Sequence[int]) -> int:
    """What Codeforces adds to every raw change: the sum stays below zero, and that of the top near zero."""
    n = len(changes)
    everybody = math.trunc(-sum(changes) / n) - 1
    top = sorted(range(n), key=lambda i: -ratings[i])[: min(4 * round(math.sqrt(n)), n)]
    of_top = sum(changes[i] + everybody for i in top)
    return everybody + min(max(math.trunc(-of_top / len(top)), -10), 0)


def rating_changes(results: Sequence[tuple[float, float]], ratings: Sequence[int]) -> list[int]:
    """Rating change of every participant of a round, by Codeforces' rules.

    Args:
        results: (points, penalty) of each participant.
        ratings: Their ratings before the round, in the same order.
    """
    field = _Field.of(ratings)
    raw = [_raw_change(field, rank, own, own) for rank, own in zip(_ranks(results), ratings, strict=True)]
    adjustment = _adjustment(raw, ratings)
    return [change + adjustment for change in raw]


def performances(
    results: Sequence[tuple[float, float]], ratings: Sequence[int], only: Sequence[int] | None = None
) -> list[float]:
    """Performance of participants: the rating at which the round would not have changed theirs.

    Infinite for the winner, who gains at any rating.

    Args:
        results: (points, penalty) of each participant.
        ratings: Their ratings before the round, in the same order.
        only: Indices of those wanted, in the order wanted; None: all.
    """
    field = _Field.of(ratings)
    ranks = _ranks(results)
    raw = [_raw_change(field, rank, own, own) for rank, own in zip(ranks, ratings, strict=True)]
    adjustment = _adjustment(raw, ratings)

    def performance(rank: int, own: int) -> float:
        low, high = _LOWEST + 1, _HIGHEST - 1
        if rank == 1:
            return math.inf
        while high - low > 1:
            middle = (low + high) // 2
            if _raw_change(field, rank, middle, own) + adjustment > 0:
                low = middle
            else:
                high = middle
        return float(high)

    return [performance(ranks[i], ratings[i]) for i in (range(len(ratings)) if only is None else only)]
