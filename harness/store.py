"""The run folder: ``manifest.json``, ``samples.jsonl``, ``grades.jsonl``.

Both JSONL files only grow. A record is acknowledged when ``add_*`` returns: it has then been handed to the kernel in
one ``write``, so it survives the death of this process at any moment (SIGKILL, out of memory). Against the death of the
machine the files are synced at most every five seconds and on close; what a power failure takes is drawn again.
A torn last line, as either leaves it, is not a record: readers pass over it and the next writer cuts it off.

Samples are keyed by (task hash, problem id, sample index), grades by the same and the scorer. The first record of a key
counts and later ones are ignored, in the files as in memory, so every reader sees the same run.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from harness.errors import UsageError
from harness.records import decode, encode
from harness.store_lock import FolderLock
from harness.types import SCHEMA_VERSION, Grade, Sample

R = TypeVar("R", Sample, Grade)

SAMPLES, GRADES, MANIFEST = "samples.jsonl", "grades.jsonl", "manifest.json"
SYNC_INTERVAL_S = 5.0


class KeySet:
    """Which records there are: a set of (group, index) that takes a few bytes an index."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, ...], set[int]] = {}
        self._count = 0

    def add(self, group: tuple[str, ...], index: int) -> bool:
        """Adds a key; returns whether it is new."""
        indices = self._groups.setdefault(group, set())
        if index in indices:
            return False
        indices.add(index)
        self._count += 1
        return True

    def has(self, group: tuple[str, ...], index: int) -> bool:
        """Returns whether the key is there."""
        return index in self._groups.get(group, ())

    def __len__(self) -> int:
        return self._count


def _group(record: Sample | Grade) -> tuple[str, ...]:
    if isinstance(record, Grade):
        return (record.task, record.problem_id, record.scorer)
    return (record.task, record.problem_id)


class _Log(Generic[R]):
    """One append-only file of records. Threads may add at the same time."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        self.path, self.keys = path, KeySet()
        self._lock = threading.Lock()
        self._size = 0
        for record, end in _scan(path, kind):
            self.keys.add(_group(record), record.index)
            self._size = end
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if os.fstat(self._fd).st_size > self._size:
            os.ftruncate(self._fd, self._size)
        self._synced = time.monotonic()

    def add(self, record: R) -> bool:
        """Stores a record; returns False, and writes nothing, when its key is there already."""
        line = encode(record)
        with self._lock:
            if not self.keys.add(_group(record), record.index):
                return False
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._fd, line[written:] if written else line)
            except OSError as error:
                os.ftruncate(self._fd, self._size)
                raise UsageError(
                    f"cannot write to {self.path}: {error.strerror}; free some space and run the same command again"
                ) from error
            self._size += len(line)
            if time.monotonic() - self._synced > SYNC_INTERVAL_S:
                os.fdatasync(self._fd)
                self._synced = time.monotonic()
        return True

    def close(self) -> None:
        """Syncs and closes the file."""
        os.fdatasync(self._fd)
        os.close(self._fd)


class RunStore:
    """A run folder opened for writing, by one process at a time; use it as a context manager.

    Args:
        folder: Created when it is not there.

    Raises:
        UsageError: Somebody else writes to the folder, it cannot be written, or its files are not a run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(folder)
        except OSError as error:
            raise UsageError(
                f"cannot write to the run folder {folder}: {error.strerror}; choose another with --out"
            ) from error
        try:
            if (folder / MANIFEST).exists():
                read_manifest(folder)
            elif any(_size(folder / name) for name in (SAMPLES, GRADES)):
                raise UsageError(
                    f"{folder} holds {SAMPLES} or {GRADES} without {MANIFEST}, so it is not a run folder; "
                    "choose another with --out"
                )
            self._samples: _Log[Sample] = _Log(folder / SAMPLES, Sample)
            self._grades: _Log[Grade] = _Log(folder / GRADES, Grade)
        except BaseException:
            self._lock.release()
            raise

    @property
    def manifest(self) -> dict[str, Any] | None:
        """What manifest.json says; None when there is none yet."""
        return read_manifest(self.folder) if (self.folder / MANIFEST).exists() else None

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replaces manifest.json in one step: after a crash there is the old or the new one, whole."""
        write_json(self.folder / MANIFEST, {"schema_version": SCHEMA_VERSION, **manifest})

    def add_sample(self, sample: Sample) -> bool:
        """Stores a sample; returns False when that sample is there already."""
        return self._samples.add(sample)

    def add_grade(self, grade: Grade) -> bool:
        """Stores a grade; returns False when that scorer has graded that sample already."""
        return self._grades.add(grade)

    def has_sample(self, task: str, problem_id: str, index: int) -> bool:
        """Returns whether the sample is stored."""
        return self._samples.keys.has((task, problem_id), index)

    def has_grade(self, task: str, problem_id: str, index: int, scorer: str) -> bool:
        """Returns whether the scorer's grade of the sample is stored."""
        return self._grades.keys.has((task, problem_id, scorer), index)

    @property
    def sample_count(self) -> int:
        """Number of samples stored."""
        return len(self._samples.keys)

    @property
    def grade_count(self) -> int:
        """Number of grades stored."""
        return len(self._grades.keys)

    def close(self) -> None:
        """Syncs the files and lets the next writer in."""
        self._samples.close()
        self._grades.close()
        self._lock.release()

    def __enter__(self) -> "RunStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_samples(folder: Path) -> Iterator[Sample]:
    """Yields the samples of a run folder in the order in which they came, one at a time in memory.

    Raises:
        UsageError: There is no such file, or a line in it (other than a torn last one) is not a sample.
    """
    return _distinct(folder, SAMPLES, Sample)


def read_grades(folder: Path) -> Iterator[Grade]:
    """Yields the grades of a run folder in the order in which they came; errors as in :func:`read_samples`."""
    return _distinct(folder, GRADES, Grade)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Returns what manifest.json says.

    Raises:
        UsageError: The folder has none, or it is not a manifest of this version.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is not a run folder: it has no {MANIFEST}; `ringlite score --out {folder}` makes one"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON ({error}); restore it, or use a new run folder") from None
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema_version {version!r}, and this version of ringlite reads {SCHEMA_VERSION}")
    return dict(manifest)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file in one step: readers and crashes see the old file or the new one, whole."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _distinct(folder: Path, name: str, kind: type[R]) -> Iterator[R]:
    path = folder / name
    if not path.is_file():
        raise UsageError(f"{folder} is not a run folder: it has no {name}")
    return _first_of_each(path, kind)


def _first_of_each(path: Path, kind: type[R]) -> Iterator[R]:
    seen = KeySet()
    for record, _ in _scan(path, kind):
        if seen.add(_group(record), record.index):
            yield record


def _scan(path: Path, kind: type[R]) -> Iterator[tuple[R, int]]:
    """Yields (record, offset behind it); a last line that is cut or garbled is left out."""
    if not path.exists():
        return
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            end += len(line)
            # A power failure may leave the size without the data: zeros.
            if not line.endswith(b"\n") or (b"\0" in line and not file.peek(1)):
                return
            try:
                record = decode(kind, line)
            except (ValueError, TypeError) as error:
                raise UsageError(
                    f"{path}, line {number}, is not a {kind.__name__.lower()} of a run ({error}); "
                    "restore the file or use a new run folder"
                ) from None
            yield record, end
