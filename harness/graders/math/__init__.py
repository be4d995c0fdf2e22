"""Mathematical answers: ``MathGrader`` with the scorers "strict" and "math-verify", and ``grade`` for one answer.

    from harness.graders import math
    math.grade("... so the sum is \\boxed{\\frac{1}{2}}.", "0.5").correct

Importing this checks the four pinned packages (see ``pins``) and loads none of them; workers do, when first needed.
"""

import atexit
from functools import cache

from harness.graders.math.pins import check_pins, versions

check_pins(versions())

from harness.graders.math.answer import Answer, Extracted, Gold, Kind, Scorer  # noqa: E402
from harness.graders.math.corrections import DESCRIPTIONS as CORRECTIONS  # noqa: E402
from harness.graders.math.extraction import extract  # noqa: E402
from harness.graders.math.grader import SCORERS, MathGrader  # noqa: E402

__all__ = [
    "CORRECTIONS",
    "SCORERS",
    "Answer",
    "Extracted",
    "Gold",
    "Kind",
    "MathGrader",
    "Scorer",
    "extract",
    "grade",
    "versions",
]


@cache
def _shared(scorer: Scorer) -> MathGrader:
    grader = MathGrader(scorer)
    atexit.register(grader.close)
    return grader


def grade(
    response: str, gold: Gold, *, scorer: Scorer = "strict", truncated: bool = False, kind: Kind = "math"
) -> Answer:
    """Grades one response with a shared grader; see ``MathGrader.grade``."""
    return _shared(scorer).grade(response, gold, truncated=truncated, kind=kind)
