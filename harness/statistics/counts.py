"""What every formula starts from: how many samples of each problem there are, and how many of them are right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Samples and right answers of P problems; problems without a sample are not in it.

    Attributes:
        correct: c_i, shape (P,), 0 <= c_i <= n_i.
        samples: n_i, shape (P,), at least 1 each; they need not be equal.
    """

    correct: IntArray
    samples: IntArray

    def __post_init__(self) -> None:
        if self.correct.shape != self.samples.shape or self.correct.ndim != 1:
            raise UsageError("correct and samples must be two lists of the same length, one entry a problem")
        if np.any(self.samples < 1) or np.any(self.correct < 0) or np.any(self.correct > self.samples):
            raise UsageError("every problem needs at least 1 sample and between 0 and n right answers")

    @classmethod
    def of(cls, correct: ArrayLike, samples: ArrayLike) -> "Counts":
        """Builds counts from lists; ``samples`` may be one number for all problems."""
        right = np.atleast_1d(np.asarray(correct, dtype=np.int64))
        drawn = np.asarray(samples, dtype=np.int64)
        return cls(right, np.broadcast_to(drawn, right.shape).copy() if drawn.ndim == 0 else drawn)

    @classmethod
    def of_verdicts(cls, verdicts: Sequence[Sequence[bool]]) -> "Counts":
        """Builds counts from one list of right/wrong per problem."""
        return cls.of([sum(map(bool, row)) for row in verdicts], [len(row) for row in verdicts])

    @property
    def problems(self) -> int:
        """P."""
        return int(self.samples.size)

    @property
    def rates(self) -> FloatArray:
        """p_i = c_i / n_i, shape (P,)."""
        return self.correct / self.samples

    @property
    def fewest(self) -> int:
        """The smallest n_i; 0 without problems."""
        return int(self.samples.min()) if self.problems else 0

    @property
    def samples_per_problem(self) -> float:
        """n as the formulas use it: the harmonic mean of n_i (n itself where all are equal); NaN without problems."""
        return float(self.problems / np.sum(1.0 / self.samples)) if self.problems else float("nan")
