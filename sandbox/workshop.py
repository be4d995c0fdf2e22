"""The engine's side of ``languages.Workshop``: commands in containers of their own, and residents that stay warm."""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from sandbox.container import Container, ContainerLost, Job, wall_limit
from sandbox.job import Limits
from sandbox.languages import Command, Ending, Image, Outcome, ResidentFailed
from sandbox.pool import Pool
from sandbox.process import closing, empty, outcome, pack, run_command

_ATTEMPTS = 3
_FRAME_LIMIT = 256 << 20
_FOREVER = 3600.0 * 24


class Workshop:
    """Runs what languages ask for on the containers of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._residents: dict[tuple[Image, tuple[str, ...]], list[_Resident]] = {}

    def run(self, image: Image, command: Command) -> Outcome:
        """Runs a command in a clean container of ``image``; a lost worker is replaced and the command run again."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._pool.lease(image, command.limits.file_kb) as container:
                    return run_command(container, image, command)
            except ContainerLost:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the loop returns or raises")

    @contextlib.contextmanager
    def resident(self, image: Image, command: Command) -> Iterator["_Resident"]:
        """Lends the warm process ``command``; a fresh one if none is free."""
        key = (image, command.argv)
        with self._lock:
            free = self._residents.setdefault(key, [])
            resident = free.pop() if free else _Resident(self._pool, image, command)
        try:
            yield resident
        finally:
            with self._lock:
                self._residents[key].append(resident)

    def close(self) -> None:
        """Ends the residents."""
        with self._lock:
            residents = [r for free in self._residents.values() for r in free]
            self._residents.clear()
        for resident in residents:
            resident.close()


class _Resident:
    """A process with framed requests and answers over its standard input and output."""

    def __init__(self, pool: Pool, image: Image, command: Command) -> None:
        self._pool = pool
        self._image = image
        self._command = command
        self._container: Container | None = None
        self._socket: socket.socket | None = None
        self.last = Outcome("exited", 0)

    def ask(self, request: bytes, limits: Limits) -> bytes:
        """Sends a frame and returns the answer, within the CPU and wall limits of ``limits``."""
        try:
            container, channel = self._running()
            self._meter(container, 0)
            return self._exchange(container, channel, request, limits)
        except BaseException:
            self.close()
            raise

    def _running(self) -> tuple[Container, socket.socket]:
        if self._container is not None and self._socket is not None:
            return self._container, self._socket
        for attempt in range(_ATTEMPTS):
            try:
                return self._launch()
            except ContainerLost:
                self.close()
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the loop returns or raises")

    def _launch(self) -> tuple[Container, socket.socket]:
        command = self._command
        # CPU and wall clock are bounded request by request
        limits = command.limits.model_copy(update={"time_s": _FOREVER, "wall_s": _FOREVER})
        container = Container(self._image, limits.file_kb, self._pool.confinement)
        self._container = container
        ours, theirs = socket.socketpair()
        with theirs, closing([]) as fds:
            env = {**dict(self._image.env), **command.env}
            fds += [pack(list(command.argv), command.files, command.executables, env=env), empty()]
            job = Job("exec", [fds[0], theirs.fileno(), theirs.fileno(), fds[1]], limits, stack_mb=command.stack_mb)
            container.start(job)
        ours.setblocking(False)
        self._socket = ours
        return container, ours

    def _meter(self, container: Container, wall: float) -> Outcome:
        figures = container.mark()
        return Outcome("exited", 0, None, figures.cpu, wall or figures.wall, figures.peak / (1 << 20))

    def _exchange(self, container: Container, channel: socket.socket, request: bytes, limits: Limits) -> bytes:
        start = time.monotonic()
        out = memoryview(len(request).to_bytes(4, "big") + request)
        answer = bytearray()
        cpu = 0.0
        while len(answer) < 4 or len(answer) < 4 + int.from_bytes(answer[:4], "big"):
            poll = select.poll()
            poll.register(channel, select.POLLIN | (select.POLLOUT if out else 0))
            poll.register(container.control, select.POLLIN)
            left = max(0.01, min(1.0, (limits.time_s - cpu) / (os.cpu_count() or 1)))
            events = dict(poll.poll(left * 1000))
            if container.control.fileno() in events:
                self._fail("it ended", container, "exited")
            if not events:
                figures = container.mark()
                cpu += figures.cpu
                if cpu > limits.time_s:
                    self._fail(f"over {limits.time_s:g} s of CPU", container, "time_limit", cpu)
                if time.monotonic() - start > wall_limit(limits) and figures.cpu < left / 10:
                    self._fail("over its wall clock", container, "time_limit", cpu)
                continue
            state = events.get(channel.fileno(), 0)
            if out and state & select.POLLOUT:
                with contextlib.suppress(BlockingIOError):
                    out = out[channel.send(out[: 1 << 20]) :]
            if state & (select.POLLIN | select.POLLHUP):
                with contextlib.suppress(BlockingIOError):
                    piece = channel.recv(1 << 20)
                    if not piece:
                        self._fail("it closed its output", container, "exited")
                    answer += piece
            if len(answer) >= 4 and int.from_bytes(answer[:4], "big") > _FRAME_LIMIT:
                self._fail("its answer is too large", container, "output_limit")
        self.last = self._meter(container, time.monotonic() - start)
        if cpu:
            self.last = replace(self.last, cpu_s=self.last.cpu_s + cpu)
        return bytes(answer[4:])

    def _fail(self, why: str, container: Container, ending: Ending, cpu: float = 0.0) -> None:
        if ending == "exited":
            report = container.wait()
            self.last = outcome(report, self._command.limits, (b"", 0), (b"", 0))
            ending = self.last.ending
            why = f"{why}: {self.last.limit}" if self.last.limit else why
        else:
            self.last = Outcome(ending, cpu_s=cpu)
        raise ResidentFailed(f"the resident process {self._command.argv[0]} failed: {why}", ending)

    def close(self) -> None:
        """Ends the process; the next ``ask`` starts another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._container is not None:
            self._container.close()
            self._container = None
