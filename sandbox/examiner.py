"""Warm processes that run plain tests, one job after the other: a fork for each would double the cost of a job.

Only tests that ``plain_tests`` knows to leave nothing behind come here. The candidate never does: it is a socket here
too.
"""

import contextlib
import json
import marshal
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.container import Container, ContainerLost, Job, JobEnded, Report
from sandbox.job import Limits
from sandbox.languages import Image
from sandbox.pool import Pool
from sandbox.process import closing, empty, pack, sealed

MEMORY_MB = 4096
_FOREVER = 3600.0 * 24 * 365
_TICK = 0.5
_PATIENCE = 20
"""Ticks that tests get to notice that the candidate is gone."""
_RECYCLE_AFTER = 2000
_PACKET = 1 << 17
_UNBOUNDED_KB = 1 << 20  # what is printed is cut by the examiner, job by job


@dataclass(frozen=True)
class Examined:
    """``report``: the tests' outcomes. ``stdout``, ``stderr``: the first bytes, and how many more there were."""

    seen: Report
    report: dict[str, Any] = field(default_factory=dict)
    stdout: tuple[bytes, int] = (b"", 0)
    stderr: tuple[bytes, int] = (b"", 0)


class Examiner:
    """One warm process in a container of its own."""

    def __init__(self, pool: Pool, image: Image, limits: Limits) -> None:
        self.jobs = 0
        bounds = limits.model_copy(
            update={"time_s": _FOREVER, "wall_s": _FOREVER, "memory_mb": MEMORY_MB, "output_kb": _UNBOUNDED_KB}
        )
        self._container = Container(image, limits.file_kb, pool.confinement)
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs, closing([]) as fds:
                fds += [pack(None), sealed(b""), empty(), empty()]
                self._container.start(Job("examiner", fds[:4], bounds, (theirs.fileno(),)))
        except BaseException:
            self._container.close()
            raise
        self._channel = ours

    def run(self, header: dict[str, Any], fds: list[int], candidate: Container, limits: Limits) -> Examined:
        """Runs tests; ``fds``: the candidate's socket, and the file of its answers to calls that it makes ahead.

        Raises:
            ContainerLost: The examiner is gone; nobody is to blame.
        """
        self.jobs += 1
        try:
            socket.send_fds(self._channel, [marshal.dumps(header)], fds)
        except OSError as error:
            raise ContainerLost(f"the examiner is gone: {error}") from error
        poll = select.poll()
        for source in (self._channel, self._container.control):
            poll.register(source, select.POLLIN)
        cpu, alone = 0.0, 0
        while True:
            events = dict(poll.poll(_TICK * 1000))
            if self._channel.fileno() in events:
                text = self._answer()
                if text:
                    report, seconds, *printed = json.loads(text)
                    return Examined(Report("", 0, seconds, 0.0, 0), report, *map(_printed, printed))
            if events:
                return self._ended(self._container.wait())
            try:
                cpu += self._container.mark().cpu
            except JobEnded as end:
                return self._ended(end.report)
            alone += candidate.has_report()
            if cpu > limits.time_s or alone > _PATIENCE:
                self.close()
                return Examined(Report("cpu" if cpu > limits.time_s else "", None, cpu, 0.0, 0))

    def _answer(self) -> bytes:
        """The answer to a request; empty: the examiner is gone."""
        packet = self._channel.recv(_PACKET)
        parts = [packet[1:]]
        while packet[:1] == b"+":
            packet = self._channel.recv(_PACKET)
            parts.append(packet[1:])
        return b"".join(parts) if packet else b""

    def _ended(self, report: Report) -> Examined:
        self.close()
        if report.over != "memory":
            raise ContainerLost("the examiner ended")
        return Examined(report)

    @property
    def keeper(self) -> int:
        """Process id of its worker's keeper."""
        return self._container.keeper.pid

    @property
    def fit(self) -> bool:
        """Whether it may take another job."""
        return self._container.healthy and self.jobs < _RECYCLE_AFTER and self._container.alive()

    def close(self) -> None:
        """Ends it."""
        self._channel.close()
        self._container.close()


def _printed(told: list[Any] | None) -> tuple[bytes, int]:
    if told is None:
        return b"", 0
    shown = str(told[0]).encode("latin-1")
    return shown, int(told[1]) - len(shown)


class Examiners:
    """Examiners that wait for work, by image and scratch size."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._free: list[tuple[Image, int, Examiner]] = []
        self._closed = False

    @contextlib.contextmanager
    def lend(self, image: Image, limits: Limits) -> Iterator[Examiner]:
        """Lends one; nobody else has it meanwhile."""
        examiner = self._take(image, limits) or Examiner(self._pool, image, limits)
        try:
            yield examiner
        except BaseException:
            examiner.close()
            raise
        with self._lock:
            kept = examiner.fit and not self._closed and len(self._free) < 2 * self._pool.workers
            if kept:
                self._free.append((image, limits.file_kb, examiner))
        if not kept:
            examiner.close()

    def waiting(self) -> list[int]:
        """The keepers of those that wait, each with a zygote and one warm process."""
        with self._lock:
            return [examiner.keeper for _, _, examiner in self._free]

    def _take(self, image: Image, limits: Limits) -> Examiner | None:
        while True:
            with self._lock:
                found = next((i for i, (a, b, _) in enumerate(self._free) if a is image and b == limits.file_kb), None)
                if found is None:
                    return None
                _, _, examiner = self._free.pop(found)
            if examiner.fit:
                return examiner
            examiner.close()

    def close(self) -> None:
        """Ends those that wait; those at work end when they are given back."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for _, _, examiner in free:
            examiner.close()
