"""``Sandbox``: takes jobs, has them run in warm containers, returns verdicts."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Literal, Self

from sandbox import calls, units
from sandbox.container import Confinement, ContainerLost
from sandbox.errors import InvalidJob, IsolationUnavailable, SandboxError
from sandbox.examiner import Examiners
from sandbox.job import Job, Result, parse_job
from sandbox.judge import judge, run_program
from sandbox.languages import CompileFailed, Language, load
from sandbox.levels import Isolation, confine
from sandbox.pool import Pool
from sandbox.verdicts import summarize
from sandbox.workshop import Workshop

_ATTEMPTS = 3
_WINDOW = 4


class Sandbox:
    """Runs untrusted programs. Use as a context manager; every method may be called from any number of threads.

    Args:
        workers: Jobs at a time; None: the CPUs that this process may use.
        isolation: The level that is promised. ``full``: all of it, on a host that can; ``strict``: and limits that only
            the kernel enforces (control groups). A host that cannot is refused.

    Raises:
        IsolationUnavailable: This host cannot give the level; the message says what is missing and how to get it.
    """

    def __init__(self, workers: int | None = None, *, isolation: Isolation = "full") -> None:
        if workers is not None and workers < 1:
            raise SandboxError(f"workers: {workers} is too few; at least 1")
        self.workers = workers or len(os.sched_getaffinity(0))
        confinement, self.isolation = confine(isolation)
        self._pool = Pool(self.workers, confinement)
        self._workshop = Workshop(self._pool)
        self._examiners = Examiners(self._pool)
        self._languages: dict[str, Language] = {}
        self._lock = threading.Lock()
        try:
            self._warm_up()
        except BaseException:
            self.close()
            raise

    @property
    def confinement(self) -> Confinement:
        """What the containers enforce."""
        return self._pool.confinement

    def _warm_up(self) -> None:
        """Starts one container, so that a host that cannot do it says so at once."""
        python = self._language("python")
        image = python.compile(Job(code=""), self._workshop).image
        try:
            with self._pool.lease(image, Job(code="").limits.file_kb):
                pass
        except ContainerLost as error:
            raise IsolationUnavailable(f"no container can be started: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all workers. Jobs still running end with an error."""
        self._workshop.close()
        self._examiners.close()
        self._pool.close()

    def execute(self, job: Job | Mapping[str, Any]) -> Result:
        """Runs one job and returns its result.

        Raises:
            InvalidJob: The job is malformed; the message names the field.
        """
        job = job if isinstance(job, Job) else parse_job(dict(job))
        with self._pool.slot():
            return self._with_retries(job)

    def _with_retries(self, job: Job) -> Result:
        lost = ""
        for attempt in range(_ATTEMPTS):
            try:
                result = self._once(job)
            except (ContainerLost, IsolationUnavailable) as error:
                lost = str(error)
                continue
            except InvalidJob as error:
                return Result(id=job.id, verdict="refused", message=str(error), isolation=self.isolation)
            return result.model_copy(update={"retries": attempt}) if attempt else result
        return Result(
            id=job.id, verdict="internal_error", message=lost, isolation=self.isolation, retries=_ATTEMPTS - 1
        )

    def _once(self, job: Job) -> Result:
        language = self._language(job.language)
        missing = language.available()
        if missing:
            raise InvalidJob(f"language: {missing}")
        try:
            if job.mode == "unit":
                return units.run(job, language, self._pool, self._examiners, self.isolation)
            program = language.compile(job, self._workshop)
        except CompileFailed as error:
            return self._not_compiled(job, error)
        if job.mode == "run":
            return run_program(job, program, self._pool, self.isolation)
        if job.mode == "judge":
            return judge(job, program, self._pool, self._workshop, self.isolation)
        return calls.run(job, program, self._pool, self.isolation)

    def _not_compiled(self, job: Job, error: CompileFailed) -> Result:
        outcomes = [error.outcome] if error.outcome else []
        result = summarize(job, [], outcomes, self.isolation)
        update: dict[str, Any] = {"verdict": error.verdict, "message": str(error)[:4000]}
        if error.outcome:
            outcome = error.outcome
            update |= {"cpu_s": outcome.cpu_s, "wall_s": outcome.wall_s, "memory_mb": outcome.memory_mb}
            update |= {"exit_code": outcome.exit_code, "signal": outcome.signal}
        return result.model_copy(update=update)

    def _language(self, name: str) -> Language:
        with self._lock:
            if name not in self._languages:
                self._languages[name] = load(name)
            return self._languages[name]

    def run(self, code: str, *, stdin: str = "", args: Iterable[str] = (), **fields: Any) -> Result:
        """Runs a program. ``fields``: those of ``Job``, e.g. ``language``, ``limits``."""
        options = {**dict(fields.pop("options", {})), "stdin": stdin, "args": list(args)}
        return self.execute({"mode": "run", "code": code, "options": options, **fields})

    def judge(self, code: str, tests: Iterable[Any], **fields: Any) -> Result:
        """Judges a program on cases ``{"stdin": ..., "expected": ..., "checker": ...}``."""
        return self.execute({"mode": "judge", "code": code, "tests": list(tests), **fields})

    def call(self, code: str, entry_point: str, cases: Iterable[Any], **fields: Any) -> Result:
        """Calls a function or ``Class.method`` on cases ``{"args": [...], "expected": ...}``."""
        tests = {"entry_point": entry_point, "cases": list(cases)}
        return self.execute({"mode": "call", "code": code, "tests": tests, **fields})

    def unit(
        self,
        code: str,
        test_code: str,
        framework: Literal["unittest", "pytest", "check", "asserts"] = "unittest",
        *,
        module: str = "solution",
        entry_point: str | None = None,
        **fields: Any,
    ) -> Result:
        """Runs unit tests, apart from the program, against it."""
        tests = {"framework": framework, "test_code": test_code, "module": module, "entry_point": entry_point}
        return self.execute({"mode": "unit", "code": code, "tests": tests, **fields})

    def map(self, jobs: Iterable[Job | Mapping[str, Any]], ordered: bool = True) -> Iterator[Result]:
        """Runs jobs on all workers and yields their results; a malformed job yields ``refused``.

        Reads ahead a few jobs a worker only, so ``jobs`` may be endless. ``ordered``: in the order of ``jobs``, else as
        they are ready.
        """
        window = _WINDOW * self.workers
        with ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox-map") as threads:
            pending: deque[Future[Result]] = deque()
            try:
                for job in jobs:
                    pending.append(threads.submit(self._execute_or_refuse, job))
                    if len(pending) >= window:
                        yield from _ready(pending, ordered)
                while pending:
                    yield from _ready(pending, ordered)
            finally:
                for future in pending:
                    future.cancel()

    def _execute_or_refuse(self, job: Job | Mapping[str, Any]) -> Result:
        try:
            return self.execute(job)
        except InvalidJob as error:
            name = job.id if isinstance(job, Job) else job.get("id", "")
            return Result(id=name if isinstance(name, str) else "", verdict="refused", message=str(error))


def _ready(pending: deque[Future[Result]], ordered: bool) -> Iterator[Result]:
    """Waits for at least one result and takes it out."""
    if ordered:
        yield pending.popleft().result()
        return
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        pending.remove(future)
        yield future.result()
