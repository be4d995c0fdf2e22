"""Judging a file of jobs offline: one line in, one line out, in the order of the input, resumable after a kill."""

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sandbox.batch_store import ResultFile
from sandbox.errors import InvalidJob, SandboxError
from sandbox.job import Job, Result, parse_job

MAX_LINE_BYTES = 256 << 20
"""A longer input line is refused without being held in memory."""

_WINDOW_BYTES = 256 << 20
_WINDOW_JOBS_PER_WORKER = 256


class Executor(Protocol):
    """What a batch needs of a sandbox."""

    def execute(self, job: Job) -> Result:
        """Runs one job; called from several threads at once."""


@dataclass(frozen=True)
class Line:
    """A line of the input: its 1-based number, SHA-256, length, and its bytes unless it is too long to be held."""

    number: int
    sha256: str
    length: int
    data: bytes | None


@dataclass
class Summary:
    """What a finished batch did. ``resumed`` of the ``jobs`` were found in the output and not judged again."""

    jobs: int = 0
    resumed: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    isolation: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    retries: int = 0
    elapsed_s: float = 0.0

    def add(self, result: Result) -> None:
        """Counts one result."""
        self.jobs += 1
        self.verdicts[result.verdict] += 1
        self.isolation[result.isolation or "none: nothing was run"] += 1
        self.cpu_s += result.cpu_s
        self.retries += result.retries

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain data; times in seconds, rounded to milliseconds."""
        judged = self.jobs - self.resumed
        return {
            "jobs": self.jobs,
            "resumed": self.resumed,
            "verdicts": dict(self.verdicts.most_common()),
            "isolation": dict(self.isolation.most_common()),
            "cpu_s": round(self.cpu_s, 3),
            "retries": self.retries,
            "elapsed_s": round(self.elapsed_s, 3),
            "jobs_per_s": round(judged / self.elapsed_s, 1) if judged and self.elapsed_s else None,
        }


def read_lines(stream: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Yields the lines that are not blank, at most ``max_bytes`` of each in memory."""
    number = 0
    while head := stream.readline(max_bytes + 1):
        number += 1
        digest, length, part = hashlib.sha256(), 0, head
        whole = len(head.rstrip(b"\r\n")) <= max_bytes
        while True:
            length += len(part)
            digest.update(part.removesuffix(b"\n"))
            if part.endswith(b"\n") or not part:
                break
            part = stream.readline(1 << 20)
            whole = whole and not part.strip(b"\r\n")
        if not whole:
            yield Line(number, digest.hexdigest(), length, None)
        elif data := head.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else head.strip():
            yield Line(number, digest.hexdigest(), length, data)


def read_job(line: Line) -> Job | Result:
    """The job in ``line``, or the ``refused`` result that says what is wrong with it."""
    if line.data is None:
        return _refusal(line, "", f"{line.length} bytes are more than a line may hold")
    try:
        data = json.loads(line.data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _refusal(line, "", f"not UTF-8 at byte {error.start}")
    except RecursionError:
        return _refusal(line, "", "JSON is nested too deeply")
    except ValueError as error:
        return _refusal(line, "", f"not JSON: {error}")
    if not isinstance(data, dict):
        return _refusal(line, "", f"a job is a JSON object, not {type(data).__name__}")
    name = data.get("id", "")
    try:
        return parse_job(data)
    except (InvalidJob, RecursionError) as error:
        return _refusal(line, name if isinstance(name, str) else json.dumps(name), str(error))


def _refusal(line: Line, name: str, reason: str) -> Result:
    return Result(id=name, verdict="refused", message=f"line {line.number}: {reason}", input_sha256=line.sha256)


def execute_safely(executor: Executor, job: Job) -> Result:
    """Runs one job; a fault of ours in it is an ``internal_error`` of this job alone.

    Raises:
        SandboxError: The job is malformed, or no job can be run any more.
    """
    try:
        return executor.execute(job)
    except SandboxError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not take the other jobs with it
        return Result(id=job.id, verdict="internal_error", message=f"{type(error).__name__}: {error}")


def run_batch(
    source: BinaryIO,
    target: Path,
    executor: Executor,
    *,
    workers: int,
    source_name: str = "the input",
    max_line_bytes: int = MAX_LINE_BYTES,
    on_result: Callable[[Result, int], None] = lambda result, input_bytes: None,
) -> Summary:
    """Judges every job of ``source`` into ``target``; results that ``target`` already holds are kept.

    Memory is bounded whatever the size of the files: a window of jobs is in flight, results leave it in input order.

    Args:
        source: JSON lines, one job each.
        target: JSON lines, one result each, in input order; created, or resumed if it belongs to ``source``.
        executor: Where the jobs run.
        workers: Jobs in flight at once.
        source_name: What messages call ``source``.
        max_line_bytes: Longer lines are refused.
        on_result: Called with each result, stored or new, and the length of its input line in bytes.

    Raises:
        SandboxError: ``target`` belongs to another input, is in use, or cannot be written.
    """
    started = time.monotonic()
    summary = Summary()
    lines = read_lines(source, max_line_bytes)

    def note(result: Result, length: int) -> None:
        summary.add(result)
        on_result(result, length)

    with ResultFile(target) as out:
        for stored in out.stored():
            line = next(lines, None)
            if line is None or not _belongs(stored, line):
                raise SandboxError(
                    f"{target} holds results of another input than {source_name} (first difference: result "
                    f"{summary.jobs + 1}, id {stored.id!r}); name another output file or remove this one"
                )
            note(stored, line.length)
            summary.resumed += 1
        out.start_appending()
        for result, length in _judged(lines, executor, workers):
            out.append(result)
            note(result, length)
    summary.elapsed_s = time.monotonic() - started
    return summary


def _belongs(stored: Result, line: Line) -> bool:
    if stored.input_sha256:
        return stored.input_sha256 == line.sha256
    return stored.id == read_job(line).id


def _judged(lines: Iterator[Line], executor: Executor, workers: int) -> Iterator[tuple[Result, int]]:
    """Runs jobs on ``workers`` threads, at most a window of jobs and of bytes ahead of the oldest unfinished one.

    The bytes are those of the jobs and of the outputs that wait for an earlier job to finish.
    """
    window: deque[tuple[Future[Result], int]] = deque()
    held = _Held()
    stop = threading.Event()

    def judge(line: Line) -> Result:
        if stop.is_set():
            raise SandboxError("the batch was stopped")
        job = read_job(line)
        if isinstance(job, Result):
            return job
        try:
            result = execute_safely(executor, job)
        except InvalidJob as error:
            return _refusal(line, job.id, str(error))
        held.add(_size(result))
        return result.model_copy(update={"id": job.id, "input_sha256": line.sha256})

    def oldest() -> tuple[Result, int]:
        future, length = window.popleft()
        result = future.result()
        held.add(-length - _size(result))
        return result, length

    pool = ThreadPoolExecutor(workers, thread_name_prefix="sandbox-batch")
    try:
        for line in lines:
            window.append((pool.submit(judge, line), line.length))
            held.add(line.length)
            while window and (
                window[0][0].done()
                or len(window) >= workers * _WINDOW_JOBS_PER_WORKER
                or (held.bytes > _WINDOW_BYTES and len(window) > 1)
            ):
                yield oldest()
        while window:
            yield oldest()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _size(result: Result) -> int:
    return len(result.stdout) + len(result.stderr)


class _Held:
    """A sum of bytes that several threads change."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.bytes += count
