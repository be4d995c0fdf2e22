"""Graders that live as long as the lm-eval process: lm-eval tells a task of no end at which to stop them earlier."""

import atexit
from functools import cache

from harness.card import Card
from harness.grading_scorers import SampleGrader, make_grader, scorer_names
from harness.types import Grade, Problem, Sample


@cache
def _grader(scorer: str) -> SampleGrader:
    grader = make_grader(scorer)
    atexit.register(grader.close)
    return grader


def grade_sample(card: Card, problem: Problem, sample: Sample, scorer: str = "") -> Grade:
    """Grades one sample with the scorer asked for, else with the one that the benchmark's score rests on.

    Raises:
        UsageError: No such scorer.
    """
    return _grader(scorer_names(card, [scorer] if scorer else [])[0]).grade(problem, sample)
