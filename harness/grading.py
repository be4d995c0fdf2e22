"""Grades samples while others are still being drawn; each grade is stored as it comes."""

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from harness.grading_scorers import SampleGrader
from harness.store import RunStore, read_samples
from harness.types import Grade, Problem, Sample

_AHEAD = 4  # samples a worker that may wait: enough to keep it busy, few enough to hold them in memory


class GradingQueue:
    """A bounded queue in front of the scorers; use it as a context manager.

    The threads only wait: comparisons and programs run in processes of the graders and of the sandbox, which end at
    their own limits.

    Args:
        store: Where grades go; it decides what is graded already.
        graders: Scorer name -> scorer.
        workers: Samples graded at once.
        on_grade: Called with each new grade once it is stored.
    """

    def __init__(
        self,
        store: RunStore,
        graders: Mapping[str, SampleGrader],
        workers: int,
        on_grade: Callable[[Grade], None] = lambda grade: None,
    ) -> None:
        self._store, self._graders, self._on_grade = store, graders, on_grade
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="grading")
        self._room = threading.Semaphore(workers * (1 + _AHEAD))
        self._lock = threading.Lock()
        self._stopped = False
        self.errors: list[Exception] = []

    def submit(self, problem: Problem, sample: Sample, scorers: Sequence[str]) -> None:
        """Hands over a stored sample; waits while the queue is full."""
        needed = [scorer for scorer in scorers if not self._graded(sample, scorer)]
        if needed:
            self._room.acquire()
            self._threads.submit(self._grade, problem, sample, needed)

    def finish(self) -> None:
        """Waits until everything handed over is graded.

        Raises:
            Exception: The first error of a grader; the samples it concerns have no grade and get one on the next run.
        """
        self._threads.shutdown(wait=True)
        if self.errors:
            raise self.errors[0]

    def _graded(self, sample: Sample, scorer: str) -> bool:
        return self._store.has_grade(sample.task, sample.problem_id, sample.index, scorer)

    def _grade(self, problem: Problem, sample: Sample, scorers: Sequence[str]) -> None:
        try:
            for scorer in scorers:
                if self._stopped:
                    return
                grade = self._graders[scorer].grade(problem, sample)
                if self._store.add_grade(grade):
                    self._on_grade(grade)
        except Exception as error:  # noqa: BLE001 - raised by finish()
            with self._lock:
                self.errors.append(error)
        finally:
            self._room.release()

    def __enter__(self) -> "GradingQueue":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._threads.shutdown(wait=True, cancel_futures=True)


class Backlog(threading.Thread):
    """Hands the stored samples that lack a grade to the queue, beside the sampling.

    Args:
        store: The run; only samples that it holds at this moment are looked at.
        queue: Where they go.
        wanted: Task hash -> (problems by id, scorers).
    """

    def __init__(
        self, store: RunStore, queue: GradingQueue, wanted: Mapping[str, tuple[Mapping[str, Problem], Sequence[str]]]
    ) -> None:
        super().__init__(name="backlog", daemon=True)
        self._samples: Iterable[Sample] = itertools.islice(read_samples(store.folder), store.sample_count)
        self._queue, self._wanted = queue, wanted
        self._stop_asked = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        """Reads the file once, from the start."""
        try:
            for sample in self._samples:
                if self._stop_asked.is_set():
                    return
                problems, scorers = self._wanted.get(sample.task, ({}, ()))
                problem = problems.get(sample.problem_id)
                if problem is not None:
                    self._queue.submit(problem, sample, scorers)
        except Exception as error:  # noqa: BLE001 - raised by finish()
            self.error = error

    def finish(self) -> None:
        """Waits for the end of the file; raises what went wrong on the way."""
        self.join()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Ends early."""
        self._stop_asked.set()
        self.join()
