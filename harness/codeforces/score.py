"""What a model's submissions score in a contest, and the rank that it takes in the official standings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.codeforces.contest import Contest, StandingsRow

WRONG_SUBMISSION_POINTS = 50.0
WRONG_SUBMISSION_MINUTES = 10.0


@dataclass(frozen=True, slots=True)
class ModelScore:
    """Points and penalty of the model, and the ids of the problems it solved."""

    points: float
    penalty: float
    solved: tuple[str, ...]


def score_submissions(contest: Contest, submissions: Mapping[str, Sequence[bool]]) -> ModelScore:
    """Scores submissions in the order in which they are made; what follows the first accepted one is not made.

    With ``w`` wrong submissions before the accepted one a problem worth P points gives max(0, P - 50 w); a problem
    without points counts 1 and costs 10 w minutes of penalty. Solving time is not modelled: a model has none that
    compares with a person's. Source: CodeElo (Qwen), calc_rating.py at 0bffc84f.

    Args:
        contest: The contest.
        submissions: Problem id -> verdict of each submission, in order. Problems without an entry are not tried.

    Raises:
        KeyError: A submission to a problem that the contest does not have.
    """
    problems = {problem.id: problem for problem in contest.problems}
    points = penalty = 0.0
    solved = []
    for problem_id, verdicts in submissions.items():
        worth = problems[problem_id].points
        if True not in verdicts:
            continue
        wrong = list(verdicts).index(True)
        solved.append(problem_id)
        if worth is None:
            points += 1
            penalty += WRONG_SUBMISSION_MINUTES * wrong
        else:
            points += max(0.0, worth - WRONG_SUBMISSION_POINTS * wrong)
    return ModelScore(points, penalty, tuple(solved))


def rank_of(points: float, penalty: float, standings: Sequence[StandingsRow]) -> int:
    """Number of participants that the model does not beat: those with at least its result, ties counted ahead of it.

    This is the 0-based rank of the model among them, as CodeElo counts it.
    """
    return sum(1 for row in standings if row.points > points or (row.points == points and row.penalty <= penalty))
