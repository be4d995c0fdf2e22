"""Tables of published numbers: their schema, and how files of users are read into it.

A table file is YAML or JSON::

    schema_version: 1                 # optional, as everything but tables
    name: my-paper
    title: My paper
    citation: arXiv ...
    protocol: {temperature: 1.0, top_p: 0.95, max_tokens: 32768}
    columns:
      aime24: {benchmark: aime24, problems: 30, samples: 64, samples_source: stated}
    tables:
      main:
        place: Table 1
        columns: [aime24, average]
        averages: [{column: average, over: [aime24]}]
        differences: [{column: gain, of: tuned, minus: base}]    # columns of the same row
        rows:
          My-model: [76.61, 76.61]
          Other: {values: [70.0, 70.0], quoted: [aime24], bold: [average]}

A bare mapping of tables (each with ``columns`` and ``rows``), a CSV file (first line: a corner and the columns; then a
line a row) and a Markdown table are read too. ``name@32`` as a column says that the heading claims 32 samples. Figures
are read as text, so that 52.10 keeps its two decimals; ``**52.10**`` is bold and a star behind a figure means quoted.
"""

import csv
import io
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UsageError, nearest
from harness.validation import first_fault

MOST_BYTES = 4_000_000
_FIGURE = re.compile(r"^[+-]?\d{1,12}(\.\d{1,12})?$")


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value).strip().rstrip("%").strip().replace("\u2212", "-")
    if text in ("", "-", "--", "\u2013", "\u2014", "n/a", "N/A", "NA"):
        return None
    if not _FIGURE.match(text):
        raise ValueError(f"'{str(value)[:40]}' is not a plain decimal figure")
    return text


def _numbers(value: Any) -> Any:
    """Figures of a protocol are numbers again; everything else stays."""
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    if isinstance(value, str) and _FIGURE.match(value):
        return float(value) if "." in value else int(value)
    return value


Figure = Annotated[str | None, BeforeValidator(_cell)]
Protocol = Annotated[dict[str, Any], BeforeValidator(_numbers)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Part):
    """One column.

    Attributes:
        title: As it is printed.
        benchmark: Name of the card; None where there is none.
        unit: ``percent`` is a share right; only those are held to a granularity or to a verdict.
        problems: P, problems behind a figure.
        samples: m, samples a problem.
        samples_source: Whether the source states m or it was inferred from the granularity.
        protocol: Fields that differ from, or add to, the file's.
        note: What a reader should know.
    """

    title: str | None = None
    benchmark: str | None = None
    unit: Literal["percent", "percentile", "rating", "points"] = "percent"
    problems: int | None = Field(None, gt=0)
    samples: int | None = Field(None, gt=0)
    samples_source: Literal["stated", "inferred", "unknown"] = "unknown"
    protocol: Protocol = Field(default_factory=dict)
    note: str | None = None


class Row(_Part):
    """One row: its figures (None for an empty cell), and the columns that are quoted from elsewhere or in bold."""

    values: tuple[Figure, ...]
    quoted: tuple[str, ...] = ()
    bold: tuple[str, ...] = ()
    architecture: str | None = None
    activated_params: str | None = None
    total_params: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {"values": list(value)}
        if isinstance(value, dict) and "original" in value:
            value = {**value, "quoted": value["original"]}
            del value["original"]
        return value


class Average(_Part):
    """A column that is the mean of others."""

    column: str
    over: tuple[str, ...]


class Difference(_Part):
    """A column that is the difference of two others, row by row."""

    column: str
    of: str
    minus: str


class Table(_Part):
    """One printed table. ``best``: columns in which the best figure should be bold, "max" or "min"."""

    columns: tuple[str, ...]
    rows: dict[str, Row]
    place: str | None = None
    caption: str | None = None
    averages: tuple[Average, ...] = ()
    differences: tuple[Difference, ...] = ()
    best: dict[str, Literal["max", "min"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "Table":
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("a column name occurs twice")
        for name, row in self.rows.items():
            if len(row.values) != len(self.columns):
                raise ValueError(f"row '{name}' has {len(row.values)} values for {len(self.columns)} columns")
        named = [
            *(c for row in self.rows.values() for c in (*row.quoted, *row.bold)),
            *(c for average in self.averages for c in (average.column, *average.over)),
            *(c for difference in self.differences for c in (difference.column, difference.of, difference.minus)),
            *self.best,
        ]
        for column in named:
            if column not in self.columns:
                raise ValueError(f"there is no column '{column}'{nearest(column, self.columns)}")
        return self

    def cell(self, row: str, column: str) -> str | None:
        """The printed text of a cell; None where it is empty."""
        return self.rows[row].values[self.columns.index(column)]


class TableFile(_Part):
    """A file of tables; see the module."""

    schema_version: int = Field(1, ge=1, le=1)
    name: str = ""
    title: str = ""
    citation: str = ""
    protocol: Protocol = Field(default_factory=dict)
    columns: dict[str, Column] = Field(default_factory=dict)
    tables: dict[str, Table]

    def column(self, name: str) -> Column:
        """The description of a column; ``aime24@32`` is described by ``aime24``."""
        return self.columns.get(name) or self.columns.get(name.partition("@")[0]) or Column()


class _Text(yaml.SafeLoader):
    """A safe loader that leaves figures as they are printed."""


for _tag in ("float", "int"):
    _Text.add_constructor(f"tag:yaml.org,2002:{_tag}", lambda _, node: str(node.value))


def claimed_samples(column: str) -> int | None:
    """The number behind ``@`` in a heading (``aime24@32`` -> 32); None without one."""
    match = re.fullmatch(r".*@(\d{1,6})", column)
    return int(match[1]) if match else None


def decimals(figure: str) -> int:
    """Digits behind the point: 2 for "52.10"."""
    exponent = Decimal(figure).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def load_tables(path: Path) -> TableFile:
    """Reads a table file.

    Raises:
        UsageError: It cannot be read or is not a table file; the message names the place.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"table file {path} is larger than {MOST_BYTES // 10**6} MB; is it a table file?")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"table file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"table file {path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    content = _parse(path, text)
    try:
        file = TableFile.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"table file {path}: {first_fault(error, TableFile)}") from error
    if not any(table.rows for table in file.tables.values()):
        raise UsageError(f"table file {path} holds no rows")
    return file if file.name else file.model_copy(update={"name": path.stem, "title": file.title or path.stem})


def _parse(path: Path, text: str) -> Any:
    if path.suffix.lower() in (".csv", ".tsv"):
        rows = list(csv.reader(io.StringIO(text), delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
        return _grid(path, [row for row in rows if any(cell.strip() for cell in row)])
    if path.suffix.lower() in (".md", ".markdown"):
        return _grid(path, _markdown(text))
    try:
        content = yaml.load(text, Loader=_Text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}," if mark is not None else ""
        raise UsageError(f"table file {path}{line} is not valid YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(content, dict) or not content:
        raise UsageError(f"table file {path} must be a mapping with 'tables' (see `ringlite audit --help`)")
    bare = all(isinstance(part, dict) and "rows" in part and "columns" in part for part in content.values())
    return {"tables": content} if bare else content


def _markdown(text: str) -> list[list[str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rule = len(rows) > 1 and all(re.fullmatch(r":?-+:?", cell) for cell in rows[1])
    return rows[:1] + rows[2:] if rule else rows


def _grid(path: Path, rows: list[list[str]]) -> dict[str, Any]:
    if len(rows) < 2 or len(rows[0]) < 2:
        raise UsageError(f"table file {path} needs a heading line, at least one row and at least two columns")
    columns = [cell.strip() for cell in rows[0][1:]]
    table: dict[str, Any] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise UsageError(f"table file {path}: row {number} has {len(row)} cells and the heading {len(rows[0])}")
        name, cells = row[0].strip().strip("*").strip(), [cell.strip() for cell in row[1:]]
        if name in table:
            raise UsageError(f"table file {path}: there are two rows named '{name}'")
        bold = [c for c, cell in zip(columns, cells, strict=True) if re.fullmatch(r"\*\*.+\*\*\*?|__.+__", cell)]
        bare = [cell.strip("_") for cell in (re.sub(r"^\*\*(.+?)\*\*", r"\1", cell) for cell in cells)]
        quoted = [c for c, cell in zip(columns, bare, strict=True) if cell.endswith("*")]
        table[name] = {"values": [cell.rstrip("*") for cell in bare], "bold": bold, "quoted": quoted}
    return {"tables": {path.stem: {"columns": columns, "rows": table}}}
