"""The lock file: which commit, rows and hashes each benchmark's data had.

JSON: ``{"schema_version", "benchmarks": {name: {source, rows, content_hash, tests_hash, selection}}}``. It holds hashes
and places, no row, and belongs into version control beside the results that rest on it.
"""

import json
import os
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.types import SCHEMA_VERSION

LOCK_VARIABLE = "RINGLITE_DATA_LOCK"
DEFAULT_LOCK = "ringlite-data.lock.json"


def lock_path(path: Path | None = None) -> Path:
    """The lock file: ``path``, else the one that RINGLITE_DATA_LOCK names, else the default in the current folder."""
    return path or Path(os.environ.get(LOCK_VARIABLE) or DEFAULT_LOCK)


def read_lock(path: Path) -> dict[str, Any]:
    """The entries of a lock file by benchmark.

    Raises:
        UsageError: It cannot be read or is no lock file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"lock file {path} cannot be read: {error.strerror}; write one with: ringlite data lock"
        ) from error
    except ValueError as error:
        raise UsageError(f"lock file {path} is damaged: {error}; write it again with: ringlite data lock") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION or "benchmarks" not in content:
        raise UsageError(f"{path} is no lock file of this version; write one with: ringlite data lock")
    entries: dict[str, Any] = content["benchmarks"]
    return entries


def write_lock(path: Path, entries: dict[str, Any]) -> None:
    """Writes a lock file in one step: a reader sees the old one or the new one."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, "benchmarks": entries}, indent=2, sort_keys=True) + "\n"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def locked_revision(name: str, dataset: str, path: Path | None = None) -> str | None:
    """Hub commit that the lock file holds for a benchmark's data set; None without file, entry or that data set."""
    path = lock_path(path)
    if not path.is_file():
        return None
    source = read_lock(path).get(name, {}).get("source", {})
    return source.get("revision") if source.get("where") == dataset else None
