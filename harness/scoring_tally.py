"""Samples and grades go in one at a time; what stays is some fifty bytes of numbers a sample, never a text."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from harness.types import Grade, GradeStatus, Sample

STATUSES: tuple[str, ...] = get_args(GradeStatus)
FINISHES = ("stop", "length", "unknown")
UNKNOWN = -1
_CORRECT = 16  # flag beside the status number


@dataclass(frozen=True, slots=True)
class ScorerColumn:
    """What one scorer said, one entry a sample, in the order of the samples.

    Attributes:
        graded: Whether there is a grade, shape (samples,), bool.
        correct: The verdict; False where there is none.
        status: Number of the status in ``STATUSES``; -1 where there is no grade.
    """

    graded: NDArray[np.bool_]
    correct: NDArray[np.bool_]
    status: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class SampleColumns:
    """The numbers of all samples of one task, in the order in which they came.

    Attributes:
        problem: Number of the problem in ``Tally.problem_ids``, shape (samples,).
        index: Sample index within the problem.
        finish: Number of the finish reason in ``FINISHES``.
        tokens: Generated tokens; -1 where not known.
        prompt_tokens: Tokens of the prompt; -1 where not known.
        characters: Length of the response.
        fingerprint: 64 bits of a hash of the response: equal texts have equal fingerprints.
    """

    problem: NDArray[np.int32]
    index: NDArray[np.int32]
    finish: NDArray[np.int8]
    tokens: NDArray[np.int64]
    prompt_tokens: NDArray[np.int64]
    characters: NDArray[np.int64]
    fingerprint: NDArray[np.int64]


class Tally:
    """Counts of one task. Add its samples first, then its grades; a repeated key is ignored, as in the store."""

    def __init__(self, problem_ids: Iterable[str] = ()) -> None:
        self.problem_ids: list[str] = []
        self._numbers: dict[str, int] = {}
        for name in problem_ids:
            self._number(name)
        self._slots: dict[tuple[int, int], int] = {}
        self._columns = {name: array(kind) for name, kind in zip(SampleColumns.__slots__, "iibqqqq", strict=True)}
        self._grades: dict[str, array[int]] = {}
        self.stray_grades = 0  # grades of samples that are not there

    def add_sample(self, sample: Sample) -> None:
        """Counts a sample."""
        key = (self._number(sample.problem_id), sample.index)
        if key in self._slots:
            return
        self._slots[key] = len(self._slots)
        text = sample.response
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        values = (
            *key,
            FINISHES.index(sample.finish_reason) if sample.finish_reason in FINISHES else FINISHES.index("unknown"),
            UNKNOWN if sample.completion_tokens is None else sample.completion_tokens,
            UNKNOWN if sample.prompt_tokens is None else sample.prompt_tokens,
            len(text),
            int.from_bytes(digest, "big", signed=True),
        )
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def add_grade(self, grade: Grade) -> None:
        """Counts a grade of a sample that was added before."""
        number = self._numbers.get(grade.problem_id)
        slot = None if number is None else self._slots.get((number, grade.index))
        if slot is None:
            self.stray_grades += 1
            return
        column = self._grades.setdefault(grade.scorer, array("b"))
        column.extend([UNKNOWN] * (len(self._slots) - len(column)))
        if column[slot] == UNKNOWN:
            correct = grade.correct and grade.status == "ok"
            column[slot] = STATUSES.index(grade.status) + (_CORRECT if correct else 0)

    @property
    def scorers(self) -> list[str]:
        """Names of the scorers that have graded anything, in the order of their first grade."""
        return list(self._grades)

    @property
    def samples(self) -> SampleColumns:
        """The numbers of the samples."""
        return SampleColumns(**{name: np.array(column) for name, column in self._columns.items()})

    def scorer(self, name: str) -> ScorerColumn:
        """What a scorer said; an unknown scorer has graded nothing."""
        raw = np.full(len(self._slots), UNKNOWN, dtype=np.int8)
        column = self._grades.get(name, array("b"))
        raw[: len(column)] = column
        graded = raw != UNKNOWN
        return ScorerColumn(
            graded, graded & (raw >= _CORRECT), np.where(graded, raw % _CORRECT, UNKNOWN).astype(np.int8)
        )

    def __len__(self) -> int:
        return len(self._slots)

    def _number(self, problem_id: str) -> int:
        number = self._numbers.setdefault(problem_id, len(self.problem_ids))
        if number == len(self.problem_ids):
            self.problem_ids.append(problem_id)
        return number
