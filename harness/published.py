"""Published scores as targets: which number of which table a score is held against, and what is known of it."""

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.errors import UsageError, nearest
from harness.published_table import TableFile, decimals, load_tables

DEFAULT_TARGET = "ring-lite"
_FIRST = "ring_lite.yaml"


@dataclass(frozen=True, slots=True)
class Published:
    """One published score.

    Attributes:
        benchmark: Name of the card.
        model: Row it stands in.
        text: As it is printed, in percent.
        place: Citation, table, row and column.
        problems: P; None where it is not known.
        samples: m; None where it is not known.
        samples_source: "stated", "inferred" (from the granularity of the printed figures) or "unknown".
        quoted: The source took it from elsewhere, so the source's protocol says nothing of it.
        protocol: Protocol fields that the source states.
        note: What a reader should know.
    """

    benchmark: str
    model: str
    text: str
    place: str
    problems: int | None
    samples: int | None
    samples_source: Literal["stated", "inferred", "unknown"]
    quoted: bool = False
    protocol: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None

    @property
    def value(self) -> float:
        """The score in percent."""
        return float(self.text)

    @property
    def half_unit(self) -> float:
        """h: half a unit of the last digit, in points. A quoted figure may have been padded with a zero."""
        digits = decimals(self.text)
        if self.quoted and digits == 2 and self.text.endswith("0"):
            digits = 1
        return 0.5 * 10.0**-digits


@dataclass(frozen=True, slots=True)
class Target:
    """One row of published scores: what ``--against`` names."""

    name: str
    title: str
    scores: Mapping[str, Published]  # benchmark -> score


def slug(text: str) -> str:
    """``Qwen3-8B-Thinking`` -> ``qwen3-8b-thinking``; what ``--against`` compares."""
    return re.sub(r"[^a-z0-9./]+", "-", text.lower()).strip("-")


def paper_files() -> list[Path]:
    """The tables that come with ringlite, the paper's first."""
    folder = Path(str(importlib.resources.files("benchmarks"))) / "paper"
    return sorted(folder.glob("*.yaml"), key=lambda path: (path.name != _FIRST, path.name))


def find_target(against: str) -> Target:
    """Finds a row of published scores.

    Args:
        against: Row name of a table that comes with ringlite (``ring-lite``, ``qwen3-8b-thinking``); ``FILE:ROW``
            with the name of such a file or the path of one's own; or the path of a file with one row.

    Raises:
        UsageError: There is no such row (with the nearest), or the file cannot be read.
    """
    path, row = _as_path(against)
    if path is not None:
        file = load_tables(path)
        targets = list(_targets(file))
        if row is None and len({target.name for target in targets}) == 1:
            row = targets[0].name
        if row is None:
            raise UsageError(f"{path} has several rows; name one: {', '.join(f'{path}:{t.name}' for t in targets[:6])}")
        return _pick(targets, row, str(path))
    known: list[Target] = []
    for path in paper_files():
        file = load_tables(path)
        if ":" in against:
            head, _, row = against.partition(":")
            if slug(head) in (slug(path.stem), slug(file.name)):
                return _pick(list(_targets(file)), row, path.stem)
        known.extend(_targets(file))
    return _pick(known, against, "the published tables")


def target_names() -> list[str]:
    """Names that ``--against`` takes, the paper's first."""
    return list(dict.fromkeys(target.name for path in paper_files() for target in _targets(load_tables(path))))


def _as_path(against: str) -> tuple[Path | None, str | None]:
    endings = r"\.(yaml|yml|json|csv|tsv|md)"
    match = re.fullmatch(rf"(.+?{endings})(?::(.+))?", against, re.IGNORECASE)
    return (Path(match[1]), match[3]) if match else (None, None)


def _pick(targets: list[Target], row: str, where: str) -> Target:
    for target in targets:
        if slug(row) == target.name:
            return target
    names = list(dict.fromkeys(target.name for target in targets))
    hint = nearest(slug(row), names) or f"; known: {', '.join(names[:12])}"
    raise UsageError(f"no row '{row}' with scores of known benchmarks in {where}{hint}")


def _targets(file: TableFile) -> Iterator[Target]:
    for table_name, table in file.tables.items():
        for row_name, row in table.rows.items():
            scores: dict[str, Published] = {}
            for column_name, text in zip(table.columns, row.values, strict=True):
                column = file.column(column_name)
                benchmark = column.benchmark or (column_name.partition("@")[0] if not file.columns else None)
                if text is None or benchmark is None or column.unit != "percent":
                    continue
                quoted = column_name in row.quoted
                scores[benchmark] = Published(
                    benchmark=benchmark,
                    model=row_name,
                    text=text,
                    place=_place(file, table.place or table_name, row_name, column.title or column_name),
                    problems=column.problems,
                    samples=None if quoted else column.samples,
                    samples_source="unknown" if quoted or column.samples is None else column.samples_source,
                    quoted=quoted,
                    protocol={} if quoted else {**file.protocol, **column.protocol},
                    note=column.note,
                )
            if scores:
                where = f"{file.citation or file.title or file.name}, {table.place or table_name}"
                yield Target(slug(row_name), f"{row_name} as published in {where}", scores)


def _place(file: TableFile, table: str, row: str, column: str) -> str:
    return f"{file.citation or file.title or file.name}, {table}, row {row}, column {column}"
