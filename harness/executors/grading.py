"""Scorers whose samples are graded on a Ray cluster."""

import pickle
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from harness.executors.ray import RayExecutor
from harness.executors.work import GradeItem, GradeWork
from harness.types import Grade, Problem, Sample


class RayGrader:
    """A ``SampleGrader`` in front of the cluster: ``grade`` waits, so use it from ``RayExecutor.threads`` threads."""

    def __init__(self, scorer: str, executor: "RayExecutor[GradeItem, Grade]") -> None:
        self.scorer = scorer
        self._executor = executor
        self._weights: dict[str, int] = {}
        self._lock = threading.Lock()

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        """Has one sample graded on some node; errors as those of the scorer itself."""
        weight = len(sample.response) + self._weight(problem)
        return self._executor.submit((self.scorer, problem, sample), weight).result()

    def _weight(self, problem: Problem) -> int:
        with self._lock:
            if problem.id not in self._weights:
                self._weights[problem.id] = len(pickle.dumps(problem.gold))
            return self._weights[problem.id]

    def describe(self) -> dict[str, Any]:
        """What the scorer says of itself on the nodes."""
        described: dict[str, Any] = self._executor.describe()[self.scorer]
        return described

    def close(self) -> None:
        """Nothing: the executor belongs to whoever has made it."""


def grading_executor(scorers: Sequence[str], address: str, limit: int | None) -> "RayExecutor[GradeItem, Grade]":
    """Starts graders on the nodes of a cluster, at most ``limit`` CPUs of each; errors as ``RayExecutor``."""
    return RayExecutor(partial(GradeWork, tuple(scorers)), address, limit)
