"""OlympiadBench: what its rows say about a final answer, in the terms of the mathematics grader.

A row's ``final_answer`` is a list with one text; ``is_multiple_answer`` says that the text holds several values,
``answer_type`` is Numerical, Expression, Tuple or Interval, ``unit`` is what the number counts and ``error`` the
absolute error that is allowed. The benchmark's own judge compares with 1e-8 where no error is given; here such answers
are exact.
"""

import re
from collections.abc import Mapping
from typing import Any, TypedDict

from harness.errors import UsageError
from harness.graders.math.answer import Gold

_NAMED_INTERVAL = re.compile(r"^\$?\s*[a-zA-Z]\s*(?=[(\[])")


class Terms(TypedDict):
    """Options of ``MathGrader.grade`` for one problem."""

    several: bool
    tolerance: float | None


def terms(metadata: Mapping[str, Any]) -> Terms:
    """Returns the grader's options for a problem.

    Args:
        metadata: The row's ``is_multiple_answer`` and ``error``; other benchmarks have neither, and get the defaults.

    Raises:
        UsageError: ``error`` is not a number.
    """
    if "is_multiple_answer" not in metadata:
        return {"several": False, "tolerance": None}
    error = metadata.get("error")
    try:
        tolerance = float(error) if error not in (None, "", "None") else None
    except (TypeError, ValueError) as cause:
        raise UsageError(f"the allowed error of an OlympiadBench row is a number, not {error!r:.40}") from cause
    return {"several": metadata.get("is_multiple_answer") in (True, "True"), "tolerance": tolerance}


def golds(final_answer: Gold, metadata: Mapping[str, Any]) -> Gold:
    """Returns the golds of a row: its texts, and an interval written ``t(0,4]`` also without the name."""
    if metadata.get("answer_type") != "Interval" or isinstance(final_answer, str):
        return final_answer
    named = [text for text in final_answer if _NAMED_INTERVAL.match(text)]
    return [*final_answer, *(_NAMED_INTERVAL.sub("", text).rstrip("$") for text in named)]
