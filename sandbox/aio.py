"""The asynchronous twin of ``Sandbox``: the same workers behind awaitable calls."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from sandbox.engine import Sandbox
from sandbox.errors import InvalidJob
from sandbox.job import Job, Result
from sandbox.levels import Isolation


class AsyncSandbox:
    """Runs untrusted programs from an event loop; arguments as for ``Sandbox``.

    A cancelled call gives its place up at once; the program itself ends at its limits.
    """

    def __init__(self, workers: int | None = None, *, isolation: Isolation = "full") -> None:
        self._arguments = (workers, isolation)
        self._sandbox: Sandbox | None = None

    async def __aenter__(self) -> Self:
        workers, isolation = self._arguments
        self._sandbox = await asyncio.to_thread(Sandbox, workers, isolation=isolation)
        self._threads = ThreadPoolExecutor(self._sandbox.workers, thread_name_prefix="sandbox-async")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for running jobs and ends all workers."""
        if self._sandbox is not None:
            await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
            await asyncio.to_thread(self._sandbox.close)

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox behind it; there is one between ``__aenter__`` and ``close``."""
        if self._sandbox is None:
            raise RuntimeError("use AsyncSandbox as `async with AsyncSandbox() as sandbox`")
        return self._sandbox

    async def execute(self, job: Job | Mapping[str, Any]) -> Result:
        """Runs one job and returns its result.

        Raises:
            InvalidJob: The job is malformed; the message names the field.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.sandbox.execute, job)

    async def map(self, jobs: Iterable[Job | Mapping[str, Any]], ordered: bool = True) -> AsyncIterator[Result]:
        """As ``Sandbox.map``: reads ahead a few jobs a worker only; a malformed job yields ``refused``."""
        window = 4 * self.sandbox.workers
        pending: deque[asyncio.Task[Result]] = deque()
        try:
            for job in jobs:
                pending.append(asyncio.create_task(self._execute_or_refuse(job)))
                while len(pending) >= window:
                    yield await self._next(pending, ordered)
            while pending:
                yield await self._next(pending, ordered)
        finally:
            for task in pending:
                task.cancel()

    @staticmethod
    async def _next(pending: deque[asyncio.Task[Result]], ordered: bool) -> Result:
        if ordered:
            return await pending.popleft()
        done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        task = next(iter(done))
        pending.remove(task)
        return task.result()

    async def _execute_or_refuse(self, job: Job | Mapping[str, Any]) -> Result:
        try:
            return await self.execute(job)
        except InvalidJob as error:
            name = job.id if isinstance(job, Job) else job.get("id", "")
            return Result(id=name if isinstance(name, str) else "", verdict="refused", message=str(error))
