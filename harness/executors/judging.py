"""A Ray cluster in the place of a sandbox: every node judges in a sandbox of its own."""

from functools import partial
from types import TracebackType
from typing import Self

from harness.errors import UsageError
from harness.executors.executor import WorkLost
from harness.executors.ray import RayExecutor
from harness.executors.work import JudgeWork
from sandbox.errors import SandboxError
from sandbox.job import Job, JudgeTests, Result
from sandbox.levels import Isolation


class RaySandbox:
    """Takes jobs as ``Sandbox`` does. Results name the isolation of the node that they come from.

    Args:
        workers: CPUs used on each node at most; None: all.
        isolation: The level that every node promises; a node that cannot keep it judges nothing.
        address: Of the cluster; see ``Choice``.

    Raises:
        UsageError: There is no Ray, no cluster, or no node keeps the level.
    """

    def __init__(self, workers: int | None, isolation: Isolation, address: str) -> None:
        self._executor: RayExecutor[Job, Result] = RayExecutor(partial(JudgeWork, isolation), address, workers)
        self.workers = self._executor.threads

    def execute(self, job: Job) -> Result:
        """Runs one job on some node.

        Raises:
            InvalidJob: The job is malformed.
            SandboxError: The cluster can do no more.
        """
        try:
            return self._executor.submit(job, _weight(job)).result()
        except WorkLost as error:
            return Result(id=job.id, verdict="internal_error", message=str(error))
        except UsageError as error:
            raise SandboxError(str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.close()


def _weight(job: Job) -> int:
    cases = job.tests.cases if isinstance(job.tests, JudgeTests) else ()
    return len(job.code) + sum(len(case.stdin) + len(case.expected) for case in cases)
