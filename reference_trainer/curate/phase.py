"""One phase of a curation on disk: its kept rows, who was dropped and why, and the record that makes it resumable."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.store import write_json
from reference_trainer.curate.row import Decision, Row


@dataclass(frozen=True, slots=True)
class Phase:
    """A named step.

    Attributes:
        name: Of its files.
        settings: All that its result depends on besides the rows: part of the recipe, digests of other inputs.
        decide: One decision a row, in the order of the rows.
    """

    name: str
    settings: Any
    decide: Callable[[list[Row]], Iterator[Decision]]


def run_phase(phase: Phase, number: int, source: Path, folder: Path) -> tuple[Path, dict[str, Any], bool]:
    """Runs a phase, or finds that the same one has been run on the same rows.

    Files appear whole: ``NN-name.jsonl`` (kept), ``NN-name.dropped.jsonl`` (id, reason, evidence), and the record
    ``NN-name.json`` last.

    Returns:
        The file of kept rows, the record with the counts, and whether it was done already.
    """
    stem = f"{number:02d}-{phase.name}"
    kept, dropped, record = (folder / f"{stem}{suffix}" for suffix in (".jsonl", ".dropped.jsonl", ".json"))
    settings = hashlib.sha256(json.dumps(phase.settings, sort_keys=True, default=str).encode()).hexdigest()
    inputs = {"settings": settings, "input": file_digest(source)}
    done = _read(record)
    if done is not None and done["inputs"] == inputs and done["outputs"] == _outputs(kept, dropped):
        return kept, done, True
    rows = list(read_rows(source))
    reasons: Counter[str] = Counter()
    with WholeFile(kept) as stay, WholeFile(dropped) as go:
        for decision in phase.decide(rows):
            if decision.reason is None:
                stay.write(decision.row)
            else:
                reasons[decision.reason] += 1
                go.write({"id": decision.row["id"], "reason": decision.reason, **decision.evidence})
        if stay.lines + go.lines != len(rows):
            raise RuntimeError(f"phase {phase.name} decided {stay.lines + go.lines} of {len(rows)} rows")
    counts = {"in": len(rows), "kept": len(rows) - reasons.total(), "dropped": dict(sorted(reasons.items()))}
    done = {"phase": phase.name, "counts": counts, "inputs": inputs, "outputs": _outputs(kept, dropped)}
    write_json(record, done)
    return kept, done, False


class WholeFile:
    """A file of JSON lines that takes its name only when it is complete and on the disk."""

    def __init__(self, path: Path) -> None:
        self._path, self._scratch = path, path.with_name(f".{path.name}.partial")
        self.lines = 0

    def __enter__(self) -> "WholeFile":
        self._file = self._scratch.open("wb")
        return self

    def write(self, row: Row) -> None:
        """Adds a line."""
        # ASCII: lone surrogates and line separators survive any reader.
        self._file.write(json.dumps(row).encode("ascii") + b"\n")
        self.lines += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            self._scratch.replace(self._path)
        else:
            self._scratch.unlink()


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes a whole file of rows in one step."""
    with WholeFile(path) as lines:
        for row in rows:
            lines.write(row)


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of a file of ``WholeFile``."""
    with path.open("rb") as lines:
        yield from (json.loads(line) for line in lines)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of the files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and not file.name.startswith("."):
            digest.update(file.name.encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _outputs(*paths: Path) -> dict[str, str]:
    return {path.name: file_digest(path) for path in paths if path.exists()}


def _read(record: Path) -> dict[str, Any] | None:
    if not record.exists():
        return None
    try:
        done = json.loads(record.read_bytes())
        return done if {"counts", "inputs", "outputs"} <= done.keys() else None
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{record} is damaged ({error}); delete it, and the phase is run again") from error
