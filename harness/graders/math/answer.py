"""What the grader says of one response."""

from dataclasses import dataclass, field
from typing import Any, Literal

from harness.types import GradeStatus

Scorer = Literal["strict", "math-verify"]
Kind = Literal["math", "aime"]
Gold = str | list[str]
Source = Literal["box", "boxes", "statement", "tag", "last line"]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The answer that a response declares, and how it declares it."""

    answer: str
    source: Source


@dataclass(frozen=True, slots=True)
class Answer:
    """One graded response.

    Attributes:
        correct: The verdict. False whenever ``status`` is not "ok".
        status: "ok" when an answer was found and compared; else why there was no comparison.
        extracted: The answer that was compared, cut to 2,000 characters; None without one.
        scorer: "strict" or "math-verify".
        evidence: What explains the verdict: ``path`` (fast, literal, slow, memo), ``source`` (box, statement, ...),
            ``reason``, ``math_verify`` (Math-Verify's verdict on the extracted answer), ``corrections`` (names of the
            corrections that changed that verdict).
    """

    correct: bool
    status: GradeStatus
    extracted: str | None
    scorer: Scorer
    evidence: dict[str, Any] = field(default_factory=dict)
