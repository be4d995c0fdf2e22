"""Long-lived comparison workers that can really be killed, usable from any thread and after any fork."""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.graders.math.worker import encode, frame_length
from harness.graders.math.zygote import PID

DEADLINE_SECONDS = 2.0
"""Wall time that one comparison may take."""

STARVED_FACTOR = 2
"""How much longer a worker may take that got less than half of its deadline as CPU time: the machine is that busy."""

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "import harness.graders.math.zygote as zygote; zygote.main(int(sys.argv[1]))"
)


@dataclass(slots=True)
class _Worker:
    pid: int
    connection: socket.socket
    zygote: "_Zygote"

    def kill(self) -> None:
        """SIGKILL, then lets the zygote reap: until then the process id cannot belong to anybody else."""
        self.connection.close()
        if self.zygote.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.zygote.reap(self.pid)


class _Zygote:
    """The parent's end of the forking process."""

    def __init__(self) -> None:
        self.closed = False
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _START,
                    str(theirs.fileno()),
                    json.dumps([p or str(Path.cwd()) for p in sys.path]),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )

    def fork(self) -> _Worker:
        """Asks for one worker; raises OSError when the zygote is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [b"F"], [theirs.fileno()])
        reply = self.control.recv(PID.size)
        if len(reply) != PID.size:
            ours.close()
            raise ConnectionResetError("the process that forks the grading workers has ended")
        return _Worker(PID.unpack(reply)[0], ours, self)

    def alive(self) -> bool:
        """Whether it still runs (a zygote that has ended has taken its workers with it)."""
        return not self.closed and self.process.poll() is None

    def reap(self, pid: int) -> None:
        """Lets the kernel forget a dead worker; until then its process id cannot belong to anyone else."""
        with contextlib.suppress(OSError):
            self.control.send(b"R" + PID.pack(pid))

    def close(self) -> None:
        """Ends the zygote and with it every worker."""
        self.closed = True
        self.control.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def abandon(self) -> None:
        """In a forked child: drops the parent's descriptor and leaves its processes alone."""
        self.closed = True
        self.control.close()
        self.process.returncode = 0  # so that Popen does not wait for a process that is not ours


class WorkerPool:
    """Up to ``size`` workers, started when they are first needed.

    All pools of a process fork their workers from one zygote.

    Args:
        size: Comparisons that run at once.
        deadline: Seconds of wall time for one comparison.
    """

    def __init__(self, size: int, deadline: float = DEADLINE_SECONDS) -> None:
        self.size = size
        self.deadline = deadline
        self.kills = 0
        self._reset()
        _POOLS.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(self.size)
        self._idle: list[_Worker] = []
        self._busy: dict[int, _Worker] = {}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers one request.

        Returns:
            The worker's reply; ``{"timeout": seconds}`` when it was killed at the deadline; ``{"refused": reason}``
            when it could not answer (memory, nesting) or died.
        """
        frame = encode(request)
        with self._slots:
            # A worker may also die of something else (an operator, the kernel's memory killer): one fresh try.
            return self._attempt(frame) or self._attempt(frame) or {"refused": "the worker died of this answer"}

    def _attempt(self, frame: bytes) -> dict[str, Any] | None:
        """Lets one worker answer; None when it died."""
        worker = self._take()
        try:
            reply = self._exchange(worker, frame)
        except BaseException:
            self._discard(worker)
            raise
        if reply is None or reply.pop("last", False):
            self._discard(worker)
        else:
            with self._lock:
                self._busy.pop(worker.pid, None)
                self._idle.append(worker)
        return reply

    def _take(self) -> _Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.zygote.alive():
                    break
                worker.connection.close()  # its process id may be anybody's now
            else:
                worker = _fork_worker()
            self._busy[worker.pid] = worker
            return worker

    def _discard(self, worker: _Worker) -> None:
        """Kills a worker; the next request forks a fresh one."""
        with self._lock:
            self._busy.pop(worker.pid, None)
        worker.kill()

    def _exchange(self, worker: _Worker, frame: bytes) -> dict[str, Any] | None:
        start = time.monotonic()
        cpu_before = _cpu_seconds(worker.pid)
        exchange = _Exchange(worker.connection, frame)
        try:
            reply = exchange.finish(start + self.deadline)
            if reply is None and _cpu_seconds(worker.pid) - cpu_before < self.deadline / 2:
                reply = exchange.finish(start + self.deadline * STARVED_FACTOR)
        except OSError:
            return None
        if reply is not None:
            return reply
        self.kills += 1
        return {"timeout": round(time.monotonic() - start, 3), "last": True}

    def close(self) -> None:
        """Ends all idle workers; a later request starts new ones. The last pool to close ends the zygote."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()
        if not any(pool._idle or pool._busy for pool in list(_POOLS)):
            _close_zygote()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def forget(self) -> None:
        """In a forked child: leaves the parent's workers to the parent and starts afresh."""
        for worker in [*self._idle, *self._busy.values()]:
            worker.connection.close()
        self._reset()


class _Exchange:
    """One frame out and one frame in."""

    def __init__(self, connection: socket.socket, frame: bytes) -> None:
        self._connection, self._unsent, self._received = connection, memoryview(frame), bytearray()

    def _ready(self, event: int, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        poll = select.poll()
        poll.register(self._connection, event)
        return bool(poll.poll(left * 1000))

    def _receive(self, size: int, deadline: float) -> bool:
        while len(self._received) < size:
            if not self._ready(select.POLLIN, deadline):
                return False
            part = self._connection.recv(size - len(self._received))
            if not part:
                raise ConnectionResetError("the worker died")
            self._received += part
        return True

    def finish(self, deadline: float) -> dict[str, Any] | None:
        """Returns the reply, or None at the deadline (``time.monotonic``); may be called again with a later one.

        Raises:
            OSError: The worker died.
        """
        while self._unsent:
            if not self._ready(select.POLLOUT, deadline):
                return None
            self._unsent = self._unsent[self._connection.send(self._unsent, socket.MSG_DONTWAIT) :]
        if not self._receive(4, deadline):
            return None
        end = 4 + frame_length(bytes(self._received[:4]))
        if not self._receive(end, deadline):
            return None
        reply: dict[str, Any] = json.loads(self._received[4:end])
        return reply


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process so far; infinity when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - on the path of every slow answer
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()
_zygote: _Zygote | None = None
_zygote_lock = threading.Lock()


def _fork_worker() -> _Worker:
    global _zygote
    with _zygote_lock:
        for _ in range(3):
            if _zygote is None or not _zygote.alive():
                _zygote = _Zygote()
            try:
                return _zygote.fork()
            except OSError:
                _zygote.close()
                _zygote = None
    raise RuntimeError(
        "the grading workers cannot be started: the process that forks them ends at once (see standard error)"
    )


def _close_zygote() -> None:
    global _zygote
    with _zygote_lock:
        ending, _zygote = _zygote, None
    if ending is not None:
        ending.close()


def _forget_all() -> None:
    global _zygote, _zygote_lock
    _zygote_lock = threading.Lock()
    for pool in list(_POOLS):
        pool.forget()
    if _zygote is not None:
        _zygote.abandon()
        _zygote = None


@atexit.register
def _close_all() -> None:
    for pool in list(_POOLS):
        pool.close()
    _close_zygote()


os.register_at_fork(after_in_child=_forget_all)
