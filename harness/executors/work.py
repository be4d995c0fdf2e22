"""The worker objects: graders of samples, of single answers, and a sandbox that judges."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.types import Backend, Grade, Problem, Request, Sample, SamplingParams

if TYPE_CHECKING:
    from sandbox.job import Job, Result
    from sandbox.levels import Isolation

GradeItem = tuple[str, Problem, Sample]  # scorer, problem, sample
AnswerItem = tuple[int, bytes]  # number of the line, the line
SampleItem = tuple[str, Sequence[Request], SamplingParams]  # benchmark, requests, how they are drawn


class GradeWork:
    """Grades samples with several scorers.

    Raises:
        SandboxError: Programs are to be judged, and this node cannot isolate them.
    """

    def __init__(self, scorers: tuple[str, ...], threads: int) -> None:
        from harness.grading_scorers import SampleGrader, make_grader

        self._graders: dict[str, SampleGrader] = {}
        try:
            for scorer in scorers:
                self._graders[scorer] = make_grader(scorer, threads)
        except BaseException:
            self.close()
            raise

    def __call__(self, item: GradeItem) -> Grade:
        """Grades one sample with one scorer."""
        scorer, problem, sample = item
        return self._graders[scorer].grade(problem, sample)

    def describe(self) -> dict[str, Any]:
        """What every scorer says of itself."""
        return {scorer: grader.describe() for scorer, grader in self._graders.items()}

    def facts(self) -> dict[str, Any]:
        """The isolation of programs, where a scorer runs them."""
        levels = {level for grader in self._graders.values() if (level := getattr(grader, "isolation", None))}
        return {"isolation": ", ".join(sorted(levels))} if levels else {}

    def close(self) -> None:
        """Ends the scorers."""
        for grader in self._graders.values():
            grader.close()


class AnswerWork:
    """Grades lines of ``ringlite grade answers``. ``workers``: comparisons at once; None: one a thread."""

    def __init__(self, scorer: str, workers: int | None, threads: int) -> None:
        from harness.graders.math import MathGrader

        self._grader = MathGrader("math-verify" if scorer == "math-verify" else "strict", workers or threads)

    def __call__(self, item: AnswerItem) -> dict[str, Any]:
        """Grades one line."""
        from harness.answer_lines import grade_line

        number, line = item
        return grade_line(line, number, self._grader)

    def describe(self) -> dict[str, Any]:
        """What the grader says of itself."""
        return self._grader.describe()

    def facts(self) -> dict[str, Any]:
        """Nothing that differs from node to node."""
        return {}

    def close(self) -> None:
        """Ends the grader."""
        self._grader.close()


class JudgeWork:
    """Runs jobs of the sandbox.

    Raises:
        IsolationUnavailable: This node cannot give the level.
    """

    def __init__(self, isolation: "Isolation", threads: int) -> None:
        from sandbox import Sandbox

        self._sandbox = Sandbox(threads, isolation=isolation)

    def __call__(self, job: "Job") -> "Result":
        """Runs one job."""
        return self._sandbox.execute(job)

    def describe(self) -> dict[str, Any]:
        """Nothing: a result carries its isolation itself."""
        return {}

    def facts(self) -> dict[str, Any]:
        """The level of this node, in words."""
        return {"isolation": self._sandbox.isolation, "cpus": len(os.sched_getaffinity(0))}

    def close(self) -> None:
        """Ends the sandbox."""
        self._sandbox.close()


class SampleWork:
    """Draws samples from an engine of this process. One stream at a time."""

    def __init__(self, make: Callable[[], Backend], threads: int) -> None:
        self._backend = make()
        self._described = self._backend.describe()

    def __call__(self, item: SampleItem) -> Iterator[Sample]:
        """Yields the samples of the requests as they come."""
        benchmark, requests, params = item
        return self._backend.generate(benchmark, requests, params)

    def describe(self) -> dict[str, Any]:
        """Model and engine, and what the backend promises."""
        same = {key: self._described[key] for key in ("model", "engine")}
        return {**same, "name": self._backend.name, "seedable": self._backend.seedable}

    def facts(self) -> dict[str, Any]:
        """The engine's host facts."""
        return dict(self._described["host"])

    def close(self) -> None:
        """Ends the engine."""
        self._backend.close()
