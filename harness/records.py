"""Lines of samples.jsonl and grades.jsonl: one JSON object a record, and back again without loss.

The columns have the same type on every line, so that ``datasets.load_dataset("json")`` reads files of any size: open
mappings (``metadata``, ``evidence``) are kept as JSON text. A string that is not valid Unicode (a lone surrogate, which
JSON may carry but Arrow refuses) appears with U+FFFD in its column and exactly, as JSON text, in the column ``exact``.
"""

import json
from dataclasses import fields
from typing import Any, TypeVar

from harness import json_text
from harness.types import SCHEMA_VERSION, Grade, Sample

R = TypeVar("R", Sample, Grade)

_MAPPING = {Sample: "metadata", Grade: "evidence"}
_NAMES = {Sample: tuple(f.name for f in fields(Sample)), Grade: tuple(f.name for f in fields(Grade))}


def encode(record: Sample | Grade) -> bytes:
    """Returns the record as one line of UTF-8 JSON that ends with a newline and holds no other."""
    kind = type(record)
    row: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    row.update((name, getattr(record, name)) for name in _NAMES[kind])
    # NaN and lone surrogates inside the mapping stay ASCII escapes of the inner JSON text.
    mapping = row[_MAPPING[kind]]
    row[_MAPPING[kind]] = json.dumps(mapping, default=str) if mapping else "{}"
    row["exact"] = ""
    try:
        return json_text.line(row)
    except UnicodeEncodeError:
        broken = {name: text for name, text in row.items() if isinstance(text, str) and not _is_unicode(text)}
        row["exact"] = json.dumps(broken)
        row.update((name, _replace(text)) for name, text in broken.items())
        return json_text.line(row)


def decode(kind: type[R], line: bytes) -> R:
    """Reads a line of :func:`encode`.

    Raises:
        ValueError: The line is not such a record; the message says what is wrong with it.
    """
    try:
        row = json_text.loads(line)
        if isinstance(row, dict) and float in map(type, row.values()):  # a seed beyond 64 bits
            row = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("it is not a JSON object")
    if row.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"its schema_version is {row.get('schema_version')!r}, and this version reads {SCHEMA_VERSION}"
        )
    if row.get("exact"):
        row.update(json.loads(row["exact"]))
    names = _NAMES[kind]
    missing = [name for name in names if name not in row]
    if missing:
        raise ValueError(f"it has no field '{missing[0]}'")
    mapping = _MAPPING[kind]
    row[mapping] = json.loads(row[mapping])
    return kind(**{name: row[name] for name in names})


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _replace(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
