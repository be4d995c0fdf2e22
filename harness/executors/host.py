"""What a Ray worker process runs: one worker object, and threads that put items through it."""

import os
import pickle
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from harness.executors.executor import MakeWork, Work


@dataclass(frozen=True)
class Hello:
    """What a worker says of itself once it is ready, or why it refuses."""

    host: str
    pid: int
    description: dict[str, Any]
    facts: dict[str, Any]
    refusal: str = ""


class Host:
    """The actor. Several chunks may be in it at once, so that no thread is idle while the last item of one runs."""

    def __init__(self, make: MakeWork[Any, Any], threads: int, environment: Mapping[str, str]) -> None:
        os.environ.update(environment)
        self._make = make
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="work")
        self._work: Work[Any, Any] | None = None
        self._size = threads

    def hello(self) -> Hello:
        """Makes the work and answers; one that cannot be done on this node is a refusal."""
        host, pid = socket.gethostname(), os.getpid()
        try:
            self._work = self._make(self._size)
        except Exception as error:  # noqa: BLE001 - a node that cannot do it says so, whatever the reason
            return Hello(host, pid, {}, {}, str(error) or type(error).__name__)
        return Hello(host, pid, self._work.describe(), self._work.facts())

    def run(self, items: Sequence[Any]) -> list[tuple[bool, Any]]:
        """Returns (True, result) or (False, error) of every item, in order."""
        futures = [self._threads.submit(self._one, item) for item in items]
        return [future.result() for future in futures]

    def _one(self, item: Any) -> tuple[bool, Any]:
        try:
            return True, cast(Work[Any, Any], self._work)(item)
        except Exception as error:  # noqa: BLE001 - raised again where the item came from
            return False, _portable(error)

    def stream(self, item: Any) -> Iterator[tuple[bool, Any]]:
        """Yields (True, part) of a work that returns an iterator, as the parts come; an error is the last one."""
        try:
            for part in cast(Work[Any, Any], self._work)(item):
                yield True, part
        except Exception as error:  # noqa: BLE001 - raised again where the item came from
            yield False, _portable(error)

    def close(self) -> None:
        """Ends the work's own processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._work is not None:
            self._work.close()


def _portable(error: Exception) -> Exception:
    """The error itself if it survives pickling, else its text."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes of a moment ago
    except Exception:  # noqa: BLE001 - whatever an exception's own methods raise
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
