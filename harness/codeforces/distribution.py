"""The distribution of ratings that a percentile refers to."""

import bisect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Distribution:
    """Ratings of a population: distinct values, ascending, and the number of people at or below each."""

    values: tuple[int, ...]
    cumulative: tuple[int, ...]

    @staticmethod
    def of(counts: dict[int, int]) -> "Distribution":
        """Builds it from the number of people at each rating."""
        values = tuple(sorted(counts))
        return Distribution(values, tuple(accumulate(counts[value] for value in values)))

    @staticmethod
    def load(path: Path) -> "Distribution":
        """Reads a JSON list of ratings, or a JSON object ``{rating: number of people}``.

        Raises:
            UsageError: The file cannot be read or is of another form.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict):
                counts = {int(rating): int(count) for rating, count in content.items()}
            else:
                counts = {}
                for rating in content:
                    counts[int(rating)] = counts.get(int(rating), 0) + 1
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path}: no list of ratings and no object of counts ({error})") from error
        if not counts:
            raise UsageError(f"{path}: the distribution is empty; name a list of ratings or an object of counts")
        return Distribution.of(counts)

    @property
    def size(self) -> int:
        """Number of people."""
        return self.cumulative[-1]

    def percentile(self, rating: float) -> float:
        """Share of people rated strictly lower, in percent, not rounded."""
        below = bisect.bisect_left(self.values, rating)
        return 100.0 * (self.cumulative[below - 1] if below else 0) / self.size


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; NaN of nothing."""
    return sum(values) / len(values) if values else float("nan")
