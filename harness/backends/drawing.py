"""Samples drawn many at a time in one event loop, each handed on as it is done; shared by engines that await."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from harness.types import Request, Sample


class Drawing:
    """The requests of one ``generate``; everything here lives in one event loop.

    Args:
        draw: Draws one sample; an error of it ends the drawing and is raised by ``wait``.
        requests: Taken one by one, as workers come free.

    Attributes:
        done: Samples that nobody has taken yet.
    """

    def __init__(self, draw: Callable[[Request], Coroutine[Any, Any, Sample]], requests: Iterator[Request]) -> None:
        self.done = deque[Sample]()
        self._draw, self._requests = draw, requests
        self._error: BaseException | None = None
        self._wake = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._running = 0

    async def start(self, width: int) -> None:
        """Starts as many workers, each with one request at a time."""
        self._running = width
        self._workers = [asyncio.create_task(self._work()) for _ in range(width)]

    async def wait(self) -> bool:
        """Waits until something is done; returns False when all is done and taken. Raises what a request raised."""
        while not self.done and self._running and self._error is None:
            self._wake.clear()
            await self._wake.wait()
        if not self.done and self._error is not None:
            raise self._error
        return bool(self.done)

    async def stop(self) -> None:
        """Ends what still runs."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        try:
            for request in self._requests:
                if self._error is not None:
                    return
                self.done.append(await self._draw(request))
                self._wake.set()
        except Exception as error:  # noqa: BLE001 - handed to the caller of wait()
            self._error = self._error or error
        finally:
            self._running -= 1
            self._wake.set()


def drawn(loop: asyncio.AbstractEventLoop, drawing: Drawing, width: int) -> Iterator[Sample]:
    """Yields samples as they are done. ``loop`` runs only while one is waited for, so few wait to be taken."""
    try:
        loop.run_until_complete(drawing.start(width))
        while loop.run_until_complete(drawing.wait()):
            while drawing.done:
                yield drawing.done.popleft()
    finally:
        loop.run_until_complete(drawing.stop())
