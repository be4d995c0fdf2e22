"""Verdicts on responses, kept on disk so that none is paid for twice."""

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import UsageError
from reference_trainer.tasks.verifier import Attempt, Verifier

_BATCH = 256


class VerdictLog:
    """``Verifier`` with a memory: an append-only file of (digest of gold and response, verdict).

    A batch of verdicts is handed to the kernel before it is returned, so that SIGKILL loses at most the batch at work.
    A torn last line is cut off. Use it as a context manager, one process at a time.

    Args:
        path: The file; created when it is not there.
        workers: Of the verifier.

    Raises:
        UsageError: The file is not one of verdicts.
    """

    def __init__(self, path: Path, workers: int | None = None) -> None:
        self._path, self._verifier = path, Verifier(workers=workers)
        self._version = importlib.metadata.version("ringlite")
        self._known: dict[str, bool] = {}
        end = 0
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.exists() else (), 1):
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                self._known[entry["key"]] = bool(entry["correct"])
            except (ValueError, TypeError, KeyError) as error:
                raise UsageError(f"{path}, line {number}, is no verdict ({error!r}); use a new folder") from error
            end += len(line)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._file, end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Syncs the file and ends the verifier's workers."""
        os.fsync(self._file)
        os.close(self._file)
        self._verifier.close()

    def verify(self, attempts: Iterable[Attempt]) -> Iterator[bool]:
        """One verdict an attempt, in order, read ahead by a batch; errors as in ``Verifier.verify``."""
        source = iter(attempts)
        while batch := list(islice(source, _BATCH)):
            keys = [self._key(attempt) for attempt in batch]
            new = {key: attempt for key, attempt in zip(keys, batch, strict=True) if key not in self._known}
            for key, correct in zip(new, self._verifier.verify(list(new.values())), strict=True):
                self._add(key, correct)
            yield from (self._known[key] for key in keys)

    def _add(self, key: str, correct: bool) -> None:
        line = json.dumps({"key": key, "correct": correct}).encode() + b"\n"
        while line:
            line = line[os.write(self._file, line) :]
        self._known[key] = correct

    def _key(self, attempt: Attempt) -> str:
        text = json.dumps([self._version, attempt.gold, attempt.response, attempt.truncated], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]
