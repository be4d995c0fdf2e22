"""Our verdicts beside the official ones that came with the generations: where they differ, and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.card import Card
from harness.types import Grade


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One sample. ``ours``: our verdict in the sandbox's words; ``reason``: what is known about the difference."""

    problem_id: str
    index: int
    official: bool
    ours: str
    reason: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """``both`` samples have two verdicts. ``accepted_here_only`` and ``rejected_here_only`` list where they differ."""

    both: int
    accepted_here_only: tuple[Disagreement, ...]
    rejected_here_only: tuple[Disagreement, ...]

    @property
    def agreeing(self) -> int:
        """Samples with the same verdict."""
        return self.both - len(self.accepted_here_only) - len(self.rejected_here_only)


def agreement(card: Card, grades: Iterable[Grade], task: str) -> Agreement:
    """Pairs the grades of scorer ``code`` with those of scorer ``official``."""
    ours: dict[tuple[str, int], Grade] = {}
    official: dict[tuple[str, int], Grade] = {}
    for grade in grades:
        if grade.task == task and grade.scorer in ("code", "official"):
            (ours if grade.scorer == "code" else official)[(grade.problem_id, grade.index)] = grade
    errata = {item.problem: item.what for item in card.errata}
    pairs = [(ours[key], official[key]) for key in ours if key in official]
    differing = [_disagreement(mine, theirs, errata) for mine, theirs in pairs if mine.correct != theirs.correct]
    return Agreement(
        both=len(pairs),
        accepted_here_only=tuple(item for item in differing if not item.official),
        rejected_here_only=tuple(item for item in differing if item.official),
    )


def _disagreement(mine: Grade, theirs: Grade, errata: Mapping[str, str]) -> Disagreement:
    verdict = str(mine.evidence.get("verdict", mine.status))
    reasons = [f"known erratum: {errata[mine.problem_id]}"] if mine.problem_id in errata else []
    reasons.append(_ours(mine.evidence) if theirs.correct else _theirs(mine, theirs))
    return Disagreement(mine.problem_id, mine.index, theirs.correct, verdict, "; ".join(reasons))


def _ours(evidence: Mapping[str, Any]) -> str:
    if evidence.get("verdict") == "no_tests":
        return "this copy of the data has no tests for the problem"
    place = f" on test {evidence['failing_test']}" if "failing_test" in evidence else ""
    message = f": {evidence['message']}" if evidence.get("message") else ""
    return f"{evidence.get('verdict')} here{place}{message}"


def _theirs(mine: Grade, theirs: Grade) -> str:
    official = theirs.evidence.get("error_message") or "rejected"
    if mine.evidence.get("private_tests") is False:
        return f"official: {official}; here only the public tests were run"
    return f"official: {official}"
