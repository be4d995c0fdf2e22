"""From verdicts on submissions to a rating with an error bar and a percentile."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.codeforces.contest import Contest
from harness.codeforces.distribution import Distribution, mean
from harness.codeforces.rating import expected_rating
from harness.codeforces.score import rank_of, score_submissions
from harness.errors import UsageError

MIN_PARTICIPANTS = 200
BOOTSTRAP_DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class ContestRating:
    """One contest: means over the orders of submission that were drawn."""

    contest: str
    participants: int
    points: float
    penalty: float
    rank: float
    rating: float
    solved: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Rating over contests.

    Attributes:
        contests: Each contest's own figures.
        skipped: Contests left out, with the reason.
        rating: Mean over contests; NaN if there is none.
        rating_interval: 95 % bootstrap interval over contests; NaN for fewer than two.
        percentile: Share of the population below ``rating``, percent; NaN without a distribution.
        percentile_interval: The interval's ends as percentiles.
    """

    contests: tuple[ContestRating, ...]
    skipped: tuple[tuple[str, str], ...]
    rating: float
    rating_interval: tuple[float, float]
    percentile: float
    percentile_interval: tuple[float, float]


def _orders(verdicts: Mapping[str, Sequence[bool]], orders: int, seed: str) -> list[dict[str, list[bool]]]:
    """The submissions as they stand first, then in random orders: which sample comes first is an accident."""
    drawn = [{problem: list(given) for problem, given in verdicts.items()}]
    generator = random.Random(seed)
    for _ in range(orders - 1):
        drawn.append({problem: generator.sample(list(given), len(given)) for problem, given in verdicts.items()})
    return drawn


def rate_contest(
    contest: Contest, verdicts: Mapping[str, Sequence[bool]], orders: int = 1, seed: int = 0
) -> ContestRating:
    """Rating in one contest.

    Args:
        contest: With standings.
        verdicts: Problem id -> verdict of each sample, in the order of submission.
        orders: 1: the given order, as CodeElo does. More: the mean over that many orders, the first being the given.
        seed: Seed of the random orders.
    """
    ratings = [row.rating for row in contest.standings]
    scores = [score_submissions(contest, order) for order in _orders(verdicts, orders, f"{seed}/{contest.id}")]
    ranks = [rank_of(score.points, score.penalty, contest.standings) for score in scores]
    by_rank = {rank: expected_rating(rank, ratings) for rank in set(ranks)}
    return ContestRating(
        contest=contest.id,
        participants=len(ratings),
        points=mean([score.points for score in scores]),
        penalty=mean([score.penalty for score in scores]),
        rank=mean(ranks),
        rating=mean([by_rank[rank] for rank in ranks]),
        solved=mean([len(score.solved) for score in scores]),
    )


def _bootstrap(ratings: Sequence[float], seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean over contests drawn with replacement."""
    if len(ratings) < 2:
        return (math.nan, math.nan)
    generator = np.random.default_rng(seed)
    draws = generator.choice(np.asarray(ratings, dtype=float), size=(BOOTSTRAP_DRAWS, len(ratings))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return (float(low), float(high))


def evaluate(
    contests: Sequence[Contest],
    verdicts: Mapping[str, Mapping[str, Sequence[bool]]],
    distribution: Distribution | None = None,
    orders: int = 1,
    seed: int = 0,
) -> Evaluation:
    """Rates a model over contests; the error is that of the choice of contests.

    A contest counts if it has more than 200 rated participants (CodeElo's rule) and the model tried it. Only
    contests that are both in ``contests`` and in ``verdicts`` are rated; verdicts for an unknown contest or problem
    are an error, not a zero.

    Args:
        contests: Contests with standings.
        verdicts: Contest id -> problem id -> verdict of each sample.
        distribution: Population of the percentile.
        orders: See :func:`rate_contest`.
        seed: Of the orders and of the bootstrap.

    Raises:
        UsageError: Verdicts name a contest or a problem that is not there.
    """
    known = {contest.id: {problem.id for problem in contest.problems} for contest in contests}
    for contest_id, problems in verdicts.items():
        if contest_id not in known:
            raise UsageError(f"submissions to contest '{contest_id}', which the contest file does not hold")
        unknown = set(problems) - known[contest_id]
        if unknown:
            raise UsageError(f"submissions to problem '{min(unknown)}', which contest '{contest_id}' does not have")
    rated, skipped = [], []
    for contest in contests:
        if contest.id not in verdicts:
            skipped.append((contest.id, "no submissions"))
        elif len(contest.standings) <= MIN_PARTICIPANTS:
            skipped.append((contest.id, f"{len(contest.standings)} rated participants; more than 200 are needed"))
        else:
            rated.append(rate_contest(contest, verdicts[contest.id], orders, seed))
    rating = mean([one.rating for one in rated])
    interval = _bootstrap([one.rating for one in rated], seed)
    percentile, ends = math.nan, (math.nan, math.nan)
    if distribution is not None and rated:
        percentile = distribution.percentile(rating)
        if not math.isnan(interval[0]):
            ends = (distribution.percentile(interval[0]), distribution.percentile(interval[1]))
    return Evaluation(tuple(rated), tuple(skipped), rating, interval, percentile, ends)
