"""A row on its way through curation, and what a phase decides about it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import UsageError
from reference_trainer.curate.recipe import Columns

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a row.

    Attributes:
        row: The row, annotated where the phase annotates.
        reason: Why it is dropped; None: it stays.
        evidence: What shows the reason; never the text of an evaluation problem.
    """

    row: Row
    reason: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def uniform(rows: Iterable[Row], columns: Columns, place: str) -> Iterator[Row]:
    """Rows with ``id``, ``question``, ``answer`` and, where there is one, ``gold`` and ``solution``; the rest as it is.

    Raises:
        UsageError: A row has no question column, or two rows the same id.
    """
    seen: dict[str, int] = {}
    for number, raw in enumerate(rows, 1):
        row = dict(raw)
        question = _first(raw, columns.question)
        if not isinstance(question, str):
            raise UsageError(
                f"{place}, row {number} has no text in any of the columns {', '.join(columns.question)}; name the "
                "right one under columns.question of the recipe"
            )
        answer = _first(raw, columns.answer)
        row["question"], row["answer"] = question, str(answer) if isinstance(answer, int | float) else answer
        for name in ("gold", "solution"):
            if (value := _first(raw, getattr(columns, name))) is not None:
                row[name] = value
        named = _first(raw, columns.id)
        if named is None:
            # Equal questions are told apart by their row, so that deduplication can say which went.
            digest = hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]
            named = f"{digest}-{number}" if digest in seen else digest
        row["id"] = str(named)
        if row["id"] in seen:
            raise UsageError(
                f"{place}, row {number}: the id '{row['id']}' stands in row {seen[row['id']]} too; ids must be unique"
            )
        seen[row["id"]] = number
        yield row


def gold_of(row: Row) -> Any:
    """What the verifier compares with."""
    return row["gold"] if row.get("gold") is not None else row["answer"]


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
