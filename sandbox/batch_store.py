"""The output file of a batch: append-only JSON lines, locked while in use, a torn last line is dropped."""

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from sandbox.errors import SandboxError
from sandbox.job import Result

_LINE_START = b'{"id": '


def dump_line(result: Result) -> bytes:
    """One result as a line of ASCII JSON: NULs, lone surrogates and line separators survive any reader."""
    return json.dumps(result.model_dump()).encode("ascii") + b"\n"


class ResultFile:
    """Results of a batch on disk. Read ``stored()`` to its end, then ``start_appending()``, then ``append``.

    Every line is handed to the kernel whole before the next one, so that SIGKILL loses at most the one that was being
    written; the file is synchronised to the disk when it is closed.

    Raises:
        SandboxError: The file cannot be opened, is used by another batch, or is not a file of results.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0

    def __enter__(self) -> Self:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise SandboxError(f"cannot open {self._path} for the results: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise SandboxError(f"{self._path} is not a regular file; name one for the results")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise SandboxError(
                f"{self._path} is being written by another batch; wait for it or name another file"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)

    def stored(self) -> Iterator[Result]:
        """Yields the whole results of the file; stops at a torn last line."""
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                result = self._parse(line, number, last=not lines.peek(1))
                if result is None:
                    return
                self._end += len(line)
                yield result

    def _parse(self, line: bytes, number: int, last: bool) -> Result | None:
        torn = last and (line.startswith(_LINE_START) or _LINE_START.startswith(line))
        if torn and not line.endswith(b"\n"):
            return None
        try:
            return Result.model_validate(json.loads(line))
        except ValidationError:
            pass
        except ValueError:
            if torn:
                return None
        raise SandboxError(
            f"{self._path} line {number} is not a result of a batch, so nothing was written; name another output file"
        )

    def start_appending(self) -> None:
        """Cuts the torn rest and positions at the end of the last whole result."""
        if os.fstat(self._fd).st_size != self._end:
            os.ftruncate(self._fd, self._end)
        os.lseek(self._fd, self._end, os.SEEK_SET)

    def append(self, result: Result) -> None:
        """Writes one result.

        Raises:
            SandboxError: The disk refused; what is stored so far stays valid.
        """
        rest = memoryview(dump_line(result))
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise SandboxError(
                f"cannot write {self._path}: {error.strerror}; make room and run the same command again to resume"
            ) from None
