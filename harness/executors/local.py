"""The default executor: threads of this process over one worker object."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from harness.executors.executor import MakeWork

Item = TypeVar("Item")
Out = TypeVar("Out")

_AHEAD = 64  # items a thread: enough to hide that results are taken in order, few enough to hold them in memory


class LocalExecutor(Generic[Item, Out]):
    """See ``Executor``. The threads only wait: the graders and the sandbox have processes of their own."""

    def __init__(self, make: MakeWork[Item, Out], threads: int) -> None:
        self.ahead = threads * _AHEAD
        self._work = make(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="work")
        self._room = threading.Semaphore(self.ahead)

    def submit(self, item: Item) -> "Future[Out]":
        """See ``Executor``."""
        self._room.acquire()
        future = self._threads.submit(self._work, item)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def describe(self) -> dict[str, Any]:
        """See ``Executor``."""
        return self._work.describe()

    def facts(self) -> dict[str, Any]:
        """See ``Executor``."""
        return {"name": "local", **self._work.facts()}

    def close(self) -> None:
        """See ``Executor``."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._work.close()
