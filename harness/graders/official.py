"""Verdicts that came with saved generations, as a scorer of their own beside ours."""

from typing import Any

from harness.errors import UsageError
from harness.types import Grade, Problem, Sample


class OfficialGrader:
    """Repeats the official verdict that an importer found (``Sample.metadata["official"]``); judges nothing."""

    scorer = "official"

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        """The stored verdict.

        Raises:
            UsageError: The sample has none.
        """
        official = sample.metadata.get("official")
        if not isinstance(official, dict) or not isinstance(official.get("correct"), bool):
            raise UsageError(
                f"sample {sample.index} of problem {sample.problem_id} has no official verdict; leave out --official"
            )
        evidence = {name: value for name, value in official.items() if name != "correct"}
        return Grade(
            sample.task,
            sample.benchmark,
            problem.id,
            sample.index,
            self.scorer,
            official["correct"],
            "ok",
            evidence=evidence,
        )

    def describe(self) -> dict[str, Any]:
        """Nothing of ours decides."""
        return {"scorer": self.scorer}

    def close(self) -> None:
        """Nothing is held."""
