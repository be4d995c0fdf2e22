"""Which scorers grade which answers, all behind one interface: (problem, sample) -> ``Grade``."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any, Protocol

from harness.card import Card
from harness.errors import UsageError, nearest
from harness.graders import choice, olympiad
from harness.graders.math import MathGrader
from harness.graders.official import OfficialGrader
from harness.types import Grade, Problem, Sample

# The first one is what the score rests on: against published numbers the scorer of the paper.
SCORERS: dict[str, tuple[str, ...]] = {
    "math": ("math-verify", "strict"),
    "aime": ("math-verify", "strict"),
    "choice": ("choice",),
    "code": ("code",),
}

# Only where they are asked for: verdicts that came with imported generations, and LiveCodeBench's own checker imitated.
OFFICIAL = "official"
COMPAT = "code-compat"


class SampleGrader(Protocol):
    """One scorer. ``grade`` may be called from several threads at once."""

    scorer: str

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        """Grades one sample."""
        ...

    def describe(self) -> dict[str, Any]:
        """Switches and versions that the verdict depends on, for the manifest."""
        ...

    def close(self) -> None:
        """Ends its workers."""
        ...


def scorer_names(card: Card, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """The scorers of a benchmark, or those of them that are asked for.

    Raises:
        UsageError: An asked one does not exist at all.
    """
    known = sorted({OFFICIAL, COMPAT, *(name for names in SCORERS.values() for name in names)})
    for name in asked:
        if name not in known:
            raise UsageError(f"unknown scorer '{name}'{nearest(name, known)}; known: {', '.join(known)}")
    own = SCORERS[card.answer_type]
    extra = (COMPAT, OFFICIAL) if card.rows == "livecodebench" else (OFFICIAL,)
    return tuple(name for name in (*own, *extra) if name in asked) or own


def make_grader(scorer: str, workers: int | None = None) -> SampleGrader:
    """Starts a scorer with its workers.

    Raises:
        SandboxError: Programs cannot be isolated on this host.
    """
    if scorer in ("strict", "math-verify"):
        return _Math(scorer, workers)
    if scorer == "choice":
        return _Choice()
    if scorer == OFFICIAL:
        return OfficialGrader()
    return _Code(scorer, workers)


class _Math:
    def __init__(self, scorer: str, workers: int | None) -> None:
        self.scorer = scorer
        self._grader = MathGrader("strict" if scorer == "strict" else "math-verify", workers, explain=True)

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        cut = sample.finish_reason == "length"
        gold = olympiad.golds(problem.gold, problem.metadata)
        answer = self._grader.grade(sample.response, gold, truncated=cut, **olympiad.terms(problem.metadata))
        return _grade(sample, self.scorer, answer.correct, answer.status, answer.extracted, answer.evidence)

    def describe(self) -> dict[str, Any]:
        return self._grader.describe()

    def close(self) -> None:
        self._grader.close()


class _Choice:
    scorer = "choice"

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        answer = choice.grade(sample.response, problem.gold, truncated=sample.finish_reason == "length")
        return _grade(sample, self.scorer, answer.correct, answer.status, answer.extracted, answer.evidence)

    def describe(self) -> dict[str, Any]:
        return {"scorer": self.scorer, "versions": {"ringlite": importlib.metadata.version("ringlite")}}

    def close(self) -> None:
        pass


class _Code:
    def __init__(self, scorer: str, workers: int | None) -> None:
        from harness.graders.code import CodeGrader
        from sandbox import Sandbox

        self._sandbox = Sandbox(workers=workers) if workers else Sandbox()
        self._sandbox.__enter__()
        self.scorer = scorer
        self.isolation = self._sandbox.isolation
        self._grader = CodeGrader(self._sandbox, compatible=scorer == COMPAT)

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        return self._grader.grade(problem, sample)

    def describe(self) -> dict[str, Any]:
        return {"scorer": self.scorer, "versions": {"ringlite": importlib.metadata.version("ringlite")}}

    def close(self) -> None:
        self._sandbox.__exit__(None, None, None)


def _grade(sample: Sample, scorer: str, correct: bool, status: Any, extracted: str | None, evidence: Any) -> Grade:
    return Grade(
        sample.task, sample.benchmark, sample.problem_id, sample.index, scorer, correct, status, extracted, evidence
    )
