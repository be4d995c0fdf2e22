"""Codeforces: what a model's submissions would have scored, where that ranks, and which rating expects that rank."""

from harness.codeforces.contest import Contest, ContestProblem, StandingsRow, load_contests, load_rounds
from harness.codeforces.distribution import Distribution
from harness.codeforces.evaluation import ContestRating, Evaluation, evaluate
from harness.codeforces.rating import expected_rating, performances, rating_changes
from harness.codeforces.score import ModelScore, rank_of, score_submissions

__all__ = [
    "Contest",
    "ContestProblem",
    "ContestRating",
    "Distribution",
    "Evaluation",
    "ModelScore",
    "StandingsRow",
    "evaluate",
    "expected_rating",
    "load_contests",
    "load_rounds",
    "performances",
    "rank_of",
    "rating_changes",
    "score_submissions",
]
