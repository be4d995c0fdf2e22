"""Admission to the service: a bounded queue in front of the workers, and bounded bytes held by requests."""

import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Busy(Exception):
    """Above capacity; ``retry_after_s`` is when a place is likely to be free."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the queue is full")
        self.retry_after_s = retry_after_s


class Work(Generic[Answer]):
    """Work handed to a thread; ``done`` ends with it."""

    def __init__(self, future: Future[Answer]) -> None:
        self._future = future
        self.done = asyncio.wrap_future(future)

    def drop(self) -> None:
        """Takes it out of the queue; has no effect once it runs."""
        self._future.cancel()


class Gate:
    """Counts what is accepted. Used from the event loop only; the work itself runs on one thread per worker."""

    def __init__(self, workers: int, queue: int, max_pending_bytes: int) -> None:
        self.workers = workers
        self.capacity = workers + queue
        self.accepted = 0
        self.running = 0
        self._bytes_left = max_pending_bytes
        self._mean_s = 0.1
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sandbox-service")

    @property
    def waiting(self) -> int:
        """Accepted requests that no worker has taken up yet."""
        return max(0, self.accepted - self.running)

    def retry_after_s(self) -> int:
        """Seconds until the queue has likely moved on by half, from 1 to 60."""
        return min(60, max(1, math.ceil(self.accepted * self._mean_s / self.workers / 2)))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds one place of the queue.

        Raises:
            Busy: All places are taken.
        """
        if self.accepted >= self.capacity:
            raise Busy(self.retry_after_s())
        self.accepted += 1
        try:
            yield
        finally:
            self.accepted -= 1

    def hold_bytes(self, count: int) -> None:
        """Takes ``count`` bytes of the memory for bodies; give them back with a negative count.

        Raises:
            Busy: There are not as many left.
        """
        if count > self._bytes_left:
            raise Busy(self.retry_after_s())
        self._bytes_left -= count

    def submit(self, work: Callable[[], Answer]) -> "Work[Answer]":
        """Runs ``work`` on a worker's thread."""
        loop = asyncio.get_running_loop()

        def measured() -> Answer:
            loop.call_soon_threadsafe(self._started)
            begun = loop.time()
            try:
                return work()
            finally:
                loop.call_soon_threadsafe(self._finished, loop.time() - begun)

        return Work(self._threads.submit(measured))

    def _started(self) -> None:
        self.running += 1

    def _finished(self, seconds: float) -> None:
        self.running -= 1
        self._mean_s += 0.1 * (seconds - self._mean_s)

    def close(self) -> None:
        """Waits for running work and ends the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)
