"""A Ray cluster in the place of a sampling backend: an engine on every node (or on every group of GPUs)."""

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from harness.errors import UsageError
from harness.executors.cluster import connected
from harness.executors.executor import Choice
from harness.executors.fleet import Fleet, Worker, gpu_shares
from harness.executors.host import Hello
from harness.executors.ray import ATTEMPTS, LOOK_INTERVAL_S
from harness.executors.work import SampleWork
from harness.types import Backend, Request, Sample, SamplingParams

ROOM = 256
"""Samples that have come and are not stored yet."""

_IN_STORE = 16  # samples of a stream that wait in Ray's object store; its engine pauses then

Key = tuple[str, int]  # problem id, index


def spread(
    make: Callable[[], Backend], where: Choice, *, least: int, gpus: int = 0, variables: Sequence[str] = ()
) -> Backend:
    """The engine that ``make`` makes, in this process or on the nodes of a cluster; see ``RayBackend``."""
    if not where.is_ray:
        return make()
    return RayBackend(make, where.ray_address, least=least, gpus=gpus, variables=variables)


class RayBackend:
    """See ``Backend``. Requests are dealt out in slices; every sample is handed over as it comes.

    What a lost worker has not delivered is drawn again elsewhere; a sample that comes twice is yielded once.

    Args:
        make: Makes the engine of a worker; it is pickled.
        address: Of the cluster; see ``Choice``.
        least: Requests that keep one engine busy: slices are not smaller while there are enough.
        gpus: GPUs of one engine; 0: one engine a node.
        variables: Environment variables (keys) that go along to the workers.

    Raises:
        UsageError: There is no Ray, no cluster, or no node can run the engine.
    """

    batch_size: int | None = None

    def __init__(
        self,
        make: Callable[[], Backend],
        address: str,
        *,
        least: int,
        gpus: int = 0,
        variables: Sequence[str] = (),
    ) -> None:
        environment = {name: os.environ[name] for name in variables if name in os.environ}
        self._least = least
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        with ExitStack() as stack:
            ray = stack.enter_context(connected(address))
            self._fleet = Fleet(
                ray, partial(SampleWork, make), gpu_shares(gpus), gpus, reserve_cpus=False, environment=environment
            )
            stack.callback(self._fleet.close)
            self._errors = ray.exceptions
            self._get: Callable[[Any], tuple[bool, Any]] = ray.get
            while not self._fleet.ready:
                self._look()
                self._handle()
            self._stack = stack.pop_all()
        self._described: dict[str, Any] = self._fleet.described or {}
        self.name: str = self._described["name"]
        self.seedable: bool = self._described["seedable"]

    def describe(self) -> dict[str, Any]:
        """Model and engine as without Ray, so that either may go on with the other's run."""
        return {
            "model": self._described["model"],
            "engine": self._described["engine"],
            "host": {"sampling": self._fleet.facts()},
        }

    def close(self) -> None:
        """Ends the engines."""
        self._stack.close()

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        """See ``Backend``."""
        round_ = _Round(requests)
        try:
            while round_.unfinished or round_.streams or round_.come:
                self._look()
                self._deal(benchmark, params, round_)
                self._handle()
                if round_.error is not None:
                    raise round_.error
                while round_.come:
                    yield round_.come.popleft()
                    round_.room.release()
        finally:
            round_.over.set()
            round_.room.release(1 + len(round_.streams))
            for worker in list(round_.streams):
                self._fleet.lose(worker, counted=False)

    def _look(self) -> None:
        for worker in self._fleet.look():
            worker.greeting.future().add_done_callback(
                lambda answer, worker=worker: self._events.put(partial(self._greeted, worker, answer))
            )
        problem = self._fleet.problem()
        if problem:
            raise UsageError(problem)

    def _greeted(self, worker: Worker, answer: "Future[Hello]") -> None:
        self._fleet.greet(worker, answer)

    def _handle(self) -> None:
        """Waits for an event and takes all that are there."""
        try:
            self._events.get(timeout=LOOK_INTERVAL_S)()
            while True:
                self._events.get_nowait()()
        except Empty:
            return

    def _deal(self, benchmark: str, params: SamplingParams, round_: "_Round") -> None:
        """Gives a slice of what waits to every engine that has nothing to do."""
        ready = self._fleet.ready
        for worker in ready:
            if worker not in round_.streams and round_.waiting:
                size = max(self._least, math.ceil(len(round_.waiting) / (2 * len(ready))))
                part = [round_.waiting.popleft() for _ in range(min(size, len(round_.waiting)))]
                round_.streams[worker] = part
                stream = worker.actor.stream.options(
                    num_returns="streaming", _generator_backpressure_num_objects=_IN_STORE
                ).remote((benchmark, part, params))
                reader = threading.Thread(target=self._read, args=(worker, stream, round_), daemon=True)
                reader.start()

    def _read(self, worker: Worker, stream: Any, round_: "_Round") -> None:
        """Runs in a thread of its own: passes the parts of one stream on, then its end."""
        end: Exception | None = None
        try:
            for reference in stream:
                good, part = self._get(reference)
                if not good:
                    end = part
                    break
                round_.room.acquire()
                if round_.over.is_set():
                    return
                self._events.put(partial(round_.add, worker, part))
        except Exception as error:  # noqa: BLE001 - judged in _ended
            end = error
        self._events.put(partial(self._ended, worker, round_, end))

    def _ended(self, worker: Worker, round_: "_Round", error: Exception | None) -> None:
        lost = isinstance(error, self._errors.RayError) and not isinstance(error, self._errors.RayTaskError)
        if lost:
            self._fleet.lose(worker)
        elif error is not None:
            round_.error = error
        undelivered = round_.put_back(worker)
        round_.barren += undelivered
        if round_.barren >= ATTEMPTS and round_.error is None:
            round_.error = UsageError(
                f"{ATTEMPTS} Ray workers one after the other ended without any sample (the last on {worker.name}: "
                f"{type(error).__name__}); what is stored is kept, and the same command goes on from there"
            )


class _Round:
    """The requests of one ``generate``."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.waiting = deque(requests)
        self.unfinished: set[Key] = {(request.problem_id, request.index) for request in requests}
        self.streams: dict[Worker, list[Request]] = {}
        self.come: deque[Sample] = deque()
        self.room = threading.Semaphore(ROOM)
        self.over = threading.Event()
        self.barren = 0  # streams that broke off since the last sample
        self.error: Exception | None = None

    def add(self, worker: Worker, sample: Sample) -> None:
        """Takes a sample, once."""
        key = (sample.problem_id, sample.index)
        self.barren = 0
        if key in self.unfinished:
            self.unfinished.discard(key)
            self.come.append(sample)
        else:
            self.room.release()

    def put_back(self, worker: Worker) -> bool:
        """Lets what a stream has not delivered wait again; returns whether there was any."""
        part = [r for r in self.streams.pop(worker, []) if (r.problem_id, r.index) in self.unfinished]
        self.waiting.extendleft(reversed(part))
        return bool(part)
