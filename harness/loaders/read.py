"""Reads rows from files of any usual kind; a damaged file is named with the place of the damage."""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import UsageError

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet", ".csv")

RawRow = dict[str, Any]


def read_rows(path: Path) -> Iterator[RawRow]:
    """Yields the rows of a JSON Lines, JSON, CSV or Parquet file (the first two also gzipped), in file order.

    Raises:
        UsageError: The file is unreadable, cut or damaged (with file and line), or of an unknown kind.
    """
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            yield from _parquet(path)
        elif name.endswith(".csv"):
            with path.open(encoding="utf-8", newline="") as file:
                yield from csv.DictReader(file)
        elif name.endswith((".jsonl", ".jsonl.gz")):
            with _open(path) as file:
                yield from (row for _, row in json_lines(file, str(path)))
        elif name.endswith((".json", ".json.gz")):
            with _open(path) as file:
                yield from json_rows(file.read(), str(path))
        else:
            raise UsageError(f"{path} is of no known kind; rows are read from {', '.join(SUFFIXES)}")
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text at byte {error.start}: damaged, or not a data file") from error


def json_lines(lines: Iterable[str], place: str) -> Iterator[tuple[int, RawRow]]:
    """Parses JSON Lines into (line number, row); blank lines are passed over. A bad line raises ``UsageError``."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            hint = "the file is cut short or damaged" if not line.endswith("\n") else "the file is damaged or foreign"
            raise UsageError(f"{place}, line {number}: not valid JSON ({error}); {hint}") from error
        if not isinstance(row, dict):
            raise UsageError(f"{place}, line {number}: a JSON object was expected, not {type(row).__name__}")
        yield number, row


def json_rows(text: str, place: str) -> list[RawRow]:
    """Parses one JSON list of objects (or one object). Bad content raises ``UsageError`` with line and column."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{place}, line {error.lineno} column {error.colno}: not valid JSON ({error.msg})") from error
    rows = content if isinstance(content, list) else [content]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UsageError(f"{place}, element {number}: a JSON object was expected, not {type(row).__name__}")
    return rows


def _open(path: Path) -> io.TextIOBase:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64):
                yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise UsageError(f"{path} is not a readable Parquet file: {error}") from error
