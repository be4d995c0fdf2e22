"""``ringlite sandbox batch``: files, progress and sandbox around ``run_batch``."""

import importlib
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from sandbox.batch import Executor, run_batch
from sandbox.cli import ELSEWHERE, leave_on_sigterm, open_sandbox
from sandbox.errors import SandboxError
from sandbox.job import Result
from sandbox.levels import Isolation


class Judging(Executor, Protocol):
    """An executor that says how many jobs it takes at once; a context manager."""

    workers: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def judge_file(
    source: Path,
    target: Path,
    workers: int | None,
    isolation: Isolation,
    executor: str = "local",
    address: str = "auto",
) -> dict[str, Any]:
    """Judges ``source`` into ``target`` and returns the summary; progress goes to standard error if it is a terminal.

    Args:
        source: The jobs.
        target: Where the results go.
        workers: Jobs at once, with another executor on each of its machines; None: one per core.
        isolation: The level.
        executor: ``local`` or a name in ``ELSEWHERE``.
        address: Where another executor is.

    Raises:
        SandboxError: A file cannot be opened, ``target`` belongs to another input, or there is no such executor.
    """
    with _open_source(source) as stream:
        size = os.fstat(stream.fileno()).st_size or None
        _refuse_same(stream, source, target)
        with _open_executor(executor, address, workers, isolation) as sandbox, _Progress(size) as progress:
            summary = run_batch(
                stream,
                target,
                sandbox,
                workers=sandbox.workers,
                source_name=str(source),
                on_result=progress.advance,
            )
    return summary.as_dict()


def _open_executor(name: str, address: str, workers: int | None, isolation: Isolation) -> Judging:
    if name == "local":
        return open_sandbox(workers, isolation)
    if name not in ELSEWHERE:
        raise SandboxError(f"unknown executor '{name}'; known: {', '.join(['local', *ELSEWHERE])}")
    leave_on_sigterm()
    module, _, attribute = ELSEWHERE[name].partition(":")
    judging: Judging = getattr(importlib.import_module(module), attribute)(workers, isolation, address)
    return judging


def _open_source(source: Path) -> AbstractContextManager[BinaryIO]:
    if str(source) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return source.open("rb")
    except OSError as error:
        raise SandboxError(f"cannot read {source}: {error.strerror}") from None


def _refuse_same(stream: BinaryIO, source: Path, target: Path) -> None:
    if target.is_dir():
        raise SandboxError(f"{target} is a folder; name a file for the results")
    if target.exists() and os.path.samestat(os.fstat(stream.fileno()), target.stat()):
        raise SandboxError(f"{source} and {target} are the same file; name another one for the results")


class _Progress:
    """A progress bar over the bytes of the input; silent when standard error is not a terminal."""

    def __init__(self, total_bytes: int | None) -> None:
        self._total = total_bytes
        self._jobs = self._failed = 0

    def __enter__(self) -> "_Progress":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar.start()
        self._task = self._bar.add_task("0 jobs", total=self._total)
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self, result: Result, input_bytes: int) -> None:
        """Counts one finished job."""
        self._jobs += 1
        self._failed += result.verdict != "accepted"
        self._bar.update(self._task, advance=input_bytes, description=f"{self._jobs} jobs, {self._failed} not accepted")
