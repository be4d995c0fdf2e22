"""The score of each part of a benchmark: by difficulty, month, level, subject, ..."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.statistics import Counts, avg_at_n, se_samp, se_total

MOST_VALUES = 40  # a key with more values names problems, not parts
ORDERS = (("easy", "medium", "hard"), ("A", "B", "C", "D", "E", "F", "G"))
_DATE = re.compile(r"^(\d{4}-\d{2})-\d{2}")


@dataclass(frozen=True, slots=True)
class Group:
    """One part: value of the metadata key, problems, samples, avg@n and both errors."""

    value: str
    problems: int
    samples: int
    score: float
    se_samp: float
    se_total: float


def breakdowns(names: Sequence[str], metadata: Sequence[Mapping[str, Any]], counts: Counts) -> dict[str, list[Group]]:
    """Scores the parts of a benchmark.

    A metadata key makes parts when at least half of the problems have it, and it has 2 to 40 distinct values that are
    not one a problem. A date is taken to its month. Parts come in their natural order.
    """
    result: dict[str, list[Group]] = {}
    for key in dict.fromkeys(key for row in metadata for key in row):
        if key == "cluster":
            continue
        labels = [_label(row.get(key)) for row in metadata]
        there = [label for label in labels if label is not None]
        values = set(there)
        if 2 <= len(values) <= MOST_VALUES and len(there) * 2 >= len(names) and len(values) < len(there):
            name = "month" if all(_DATE.match(str(row.get(key))) for row in metadata if row.get(key)) else key
            result[name] = [_group(value, labels, counts) for value in in_order(values)]
    return result


def in_order(values: Iterable[str]) -> list[str]:
    """Easy before hard, 2 before 10, else alphabetical."""
    values = list(values)
    for order in ORDERS:
        if set(values) <= set(order):
            return sorted(values, key=order.index)
    if all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in values):
        return sorted(values, key=float)
    return sorted(values)


def _label(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list | tuple):
        return None
    text = str(value)
    dated = _DATE.match(text)
    return dated[1] if dated else text


def _group(value: str, labels: Sequence[str | None], counts: Counts) -> Group:
    chosen = [i for i, label in enumerate(labels) if label == value]
    part = Counts.of(counts.correct[chosen], counts.samples[chosen])
    return Group(value, part.problems, int(part.samples.sum()), avg_at_n(part), se_samp(part), se_total(part))
