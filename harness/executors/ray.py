"""The executor over a Ray cluster.

One dispatching thread owns the fleet and the queue. It forms chunks of the waiting items (the fewer wait, the smaller),
gives every worker a few of them, and hands their results to the futures. Items of a worker that is lost go back to the
front of the queue; a late result of such a worker is not waited for any more, so an item has one result. An item that
has lost its worker twice gets one to itself, and if that goes on it gets an error.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from harness.errors import UsageError
from harness.executors.cluster import connected
from harness.executors.executor import MakeWork, WorkLost
from harness.executors.fleet import CHUNKS, Fleet, Worker, cpu_shares
from harness.executors.host import Hello

Item = TypeVar("Item")
Out = TypeVar("Out")

AHEAD = 64  # unfinished items a slot
THREADS_A_SLOT = 16
MOST_THREADS = 512
CHUNK_ITEMS = 64
CHUNK_BYTES = 8 << 20
ATTEMPTS = 5
"""Workers that one item may lose."""

SUSPECT_AFTER = 2

LOOK_INTERVAL_S = 2.0


@dataclass(eq=False)
class _Ticket:
    item: Any
    weight: int
    future: "Future[Any]" = field(default_factory=Future)
    losses: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it may be what kills workers."""
        return self.losses >= SUSPECT_AFTER


class RayExecutor(Generic[Item, Out]):
    """See ``Executor``; ready, with at least one worker, when it is made.

    Args:
        make: Makes the work of a worker; it is pickled.
        address: Of the cluster; see ``Choice``.
        limit: CPUs used on each node at most; None: all.
        environment: Variables that workers need.

    Raises:
        UsageError: There is no Ray, no cluster, or no node can do the work.
    """

    def __init__(
        self,
        make: MakeWork[Item, Out],
        address: str,
        limit: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._queue: deque[_Ticket] = deque()
        self._open: set[_Ticket] = set()
        self._changed = threading.Condition()
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._failure: Exception | None = None
        self._closing = False
        self._started = threading.Event()
        self.slots = 1
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(address, limit))
            self._fleet = Fleet(self._ray, make, cpu_shares(limit), environment=environment or {})
            self._thread = threading.Thread(target=self._run, name="ray-executor", daemon=True)
            self._thread.start()
            stack.callback(self._stop)
            self._started.wait()
            if self._failure is not None:
                raise self._failure
            self._stack = stack.pop_all()

    @property
    def ahead(self) -> int:
        """See ``Executor``."""
        return self.slots * AHEAD

    @property
    def threads(self) -> int:
        """Threads that keep the cluster busy when each submits an item and waits for its result."""
        return min(MOST_THREADS, self.slots * THREADS_A_SLOT)

    def submit(self, item: Item, weight: int = 0) -> "Future[Out]":
        """See ``Executor``. ``weight``: about how many bytes the item has; heavy items travel in small chunks."""
        ticket = _Ticket(item, weight)
        ticket.future.set_running_or_notify_cancel()
        with self._changed:
            self._changed.wait_for(lambda: len(self._open) < self.ahead or self._failure or self._closing)
            if self._failure is not None:
                raise self._failure
            if self._closing:
                raise UsageError("the executor is closed")
            self._open.add(ticket)
            self._queue.append(ticket)
        self._events.put(lambda: None)
        return ticket.future

    def describe(self) -> dict[str, Any]:
        """See ``Executor``."""
        return self._fleet.described or {}

    def facts(self) -> dict[str, Any]:
        """See ``Executor``."""
        return self._fleet.facts()

    def close(self) -> None:
        """See ``Executor``."""
        self._stack.close()

    # From here on everything runs in the dispatching thread, but for _stop.

    def _stop(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._events.put(lambda: None)
        self._thread.join()

    def _run(self) -> None:
        next_look = 0.0
        try:
            while not self._closing and self._failure is None:
                if time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + LOOK_INTERVAL_S
                self._handle(LOOK_INTERVAL_S)
                self._dispatch()
        except Exception as error:  # noqa: BLE001 - raised where results are waited for
            self._fail(UsageError(f"the Ray cluster does not work any more: {type(error).__name__}: {error}"))
        finally:
            self._fail(self._failure or UsageError("the executor was closed before this was done"))
            self._fleet.close()

    def _handle(self, timeout: float) -> None:
        """Waits for one event and takes all that are there."""
        try:
            self._events.get(timeout=timeout)()
            while True:
                self._events.get_nowait()()
        except Empty:
            return

    def _look(self) -> None:
        for worker in self._fleet.look():
            self._when(worker.greeting, partial(self._greeted, worker))
        problem = self._fleet.problem()
        if problem:
            self._fail(UsageError(problem))

    def _when(self, reference: Any, event: "Callable[[Future[Any]], None]") -> None:
        reference.future().add_done_callback(lambda future: self._events.put(partial(event, future)))

    def _greeted(self, worker: Worker, answer: "Future[Hello]") -> None:
        if self._fleet.greet(worker, answer):
            self._count_slots()
            self._started.set()
        self._look()

    def _count_slots(self) -> None:
        with self._changed:
            self.slots = max(1, sum(worker.threads for worker in self._fleet.ready))
            self._changed.notify_all()

    def _dispatch(self) -> None:
        ready = self._fleet.ready
        places = max(1, CHUNKS * len(ready))
        while ready and self._queue:
            worker = min(ready, key=lambda worker: worker.chunks)
            # A suspect gets a worker of its own: whose fault a death is shows only there.
            taken = CHUNKS if self._queue[0].suspect else 1
            if worker.chunks + taken > CHUNKS:
                return
            chunk = self._next_chunk(places)
            worker.chunks += taken
            reference = worker.actor.run.remote([ticket.item for ticket in chunk])
            self._when(reference, partial(self._done, worker, chunk, taken))

    def _next_chunk(self, places: int) -> list[_Ticket]:
        with self._changed:
            size = min(CHUNK_ITEMS, math.ceil(len(self._queue) / places))
            chunk = [self._queue.popleft()]
            weight = chunk[0].weight
            while len(chunk) < size and not chunk[0].suspect and not self._queue[0].suspect:
                weight += self._queue[0].weight
                if weight > CHUNK_BYTES:
                    break
                chunk.append(self._queue.popleft())
        return chunk

    def _done(self, worker: Worker, chunk: list[_Ticket], taken: int, future: "Future[Any]") -> None:
        worker.chunks -= taken
        try:
            outcomes = future.result()
        except self._ray.exceptions.RayTaskError as error:
            outcomes = [(False, RuntimeError(f"the worker on {worker.name} failed: {_cause(error)}"))] * len(chunk)
        except self._ray.exceptions.RayError as error:
            self._lost(worker, chunk, error)
            return
        self._finish(chunk, outcomes)

    def _lost(self, worker: Worker, chunk: list[_Ticket], error: Exception) -> None:
        self._fleet.lose(worker)
        self._count_slots()
        for ticket in chunk:
            ticket.losses += 1
        hopeless = [ticket for ticket in chunk if ticket.losses >= ATTEMPTS]
        reason = WorkLost(
            f"a piece of work has lost {ATTEMPTS} Ray workers (the last on {worker.name}: {type(error).__name__}); "
            "what is stored is kept, and the same command goes on from there"
        )
        self._finish(hopeless, [(False, reason)] * len(hopeless))
        with self._changed:
            self._queue.extendleft(ticket for ticket in reversed(chunk) if ticket.losses < ATTEMPTS)
        self._look()

    def _finish(self, chunk: list[_Ticket], outcomes: list[tuple[bool, Any]]) -> None:
        with self._changed:
            self._open.difference_update(chunk)
            self._changed.notify_all()
        for ticket, (good, value) in zip(chunk, outcomes, strict=True):
            if good:
                ticket.future.set_result(value)
            else:
                ticket.future.set_exception(value)

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._failure = error
            tickets = list(self._open)
            self._queue.clear()
        self._finish(tickets, [(False, error)] * len(tickets))
        self._started.set()


def _cause(error: BaseException) -> str:
    """The text of what really went wrong, without Ray's traceback."""
    cause = getattr(error, "cause", None)
    return " ".join(str(cause if cause is not None else error).split())[:500]
