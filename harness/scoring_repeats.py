"""Responses that come again and again: n copies of one text are not n samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.scoring_tally import SampleColumns

LONG_CHARACTERS = 200  # shorter answers ("C", a one-line function) repeat by right


@dataclass(frozen=True, slots=True)
class Repeats:
    """What repeats within problems.

    Attributes:
        identical: Per problem: at least 2 samples, and all texts equal; shape (problems,).
        repeatable: Problems with at least 2 samples.
        identical_long: Identical problems whose text has at least 200 characters.
        repeated_long: Share of the texts of at least 200 characters that repeat an earlier one of their problem.
        distinct: Distinct texts over samples; NaN without samples.
    """

    identical: NDArray[np.bool_]
    repeatable: int
    identical_long: int
    repeated_long: float
    distinct: float


def find_repeats(columns: SampleColumns, size: int) -> Repeats:
    """Compares the fingerprints of the samples of each of ``size`` problems."""
    drawn, texts = _texts(columns, np.ones(columns.problem.size, dtype=bool), size)
    long = columns.characters >= LONG_CHARACTERS
    long_drawn, long_texts = _texts(columns, long, size)
    identical = (texts == 1) & (drawn >= 2)
    total, long_total = int(drawn.sum()), int(long_drawn.sum())
    return Repeats(
        identical=identical,
        repeatable=int((drawn >= 2).sum()),
        identical_long=int((identical & (long_drawn == drawn)).sum()),
        repeated_long=(long_total - int(long_texts.sum())) / long_total if long_total else float("nan"),
        distinct=int(texts.sum()) / total if total else float("nan"),
    )


def _texts(columns: SampleColumns, chosen: NDArray[np.bool_], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples and distinct texts of each problem, each of shape (size,)."""
    problem = columns.problem[chosen].astype(np.int64)
    pairs = np.unique(np.stack([problem, columns.fingerprint[chosen]], axis=1), axis=0)
    drawn = np.bincount(problem, minlength=size).astype(np.int64)
    return drawn, np.bincount(pairs[:, 0], minlength=size).astype(np.int64)
