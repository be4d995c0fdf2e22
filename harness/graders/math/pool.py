"""Long-lived comparison workers that can really be killed, usable from any thread and after any fork."""

import atexit
import contextlib
import os
import threading
import time
import weakref
from typing import Any

from harness.graders.math.processes import Exchange, Worker, Zygote, cpu_seconds
from harness.graders.math.worker import encode

DEADLINE_SECONDS = 2.0
"""Wall time that one comparison may take."""

STARVED_FACTOR = 2
"""How much longer a worker may take that got less than half of its deadline as CPU time: the machine is that busy."""


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
        self._idle: list[Worker] = []
        self._busy: dict[int, Worker] = {}

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

    def _take(self) -> Worker:
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

    def _discard(self, worker: Worker) -> None:
        """Kills a worker; the next request forks a fresh one."""
        with self._lock:
            self._busy.pop(worker.pid, None)
        worker.kill()

    def _exchange(self, worker: Worker, frame: bytes) -> dict[str, Any] | None:
        start = time.monotonic()
        cpu_before = cpu_seconds(worker.pid)
        exchange = Exchange(worker.connection, frame)
        try:
            reply = exchange.finish(start + self.deadline)
            if reply is None and cpu_seconds(worker.pid) - cpu_before < self.deadline / 2:
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


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()
_zygote: Zygote | None = None
_zygote_lock = threading.Lock()


def _fork_worker() -> Worker:
    global _zygote
    with _zygote_lock:
        for _ in range(3):
            if _zygote is None or not _zygote.alive():
                _zygote = Zygote()
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
