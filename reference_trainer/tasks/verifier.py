"""The reward: harness graders for answers, the sandbox for programs; nothing of a response is run in this process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from harness.errors import UsageError
from harness.graders.code.extract import after_thinking, function_program, last_block
from harness.graders.math import MathGrader
from reference_trainer.tasks.problem import ToyProblem
from reference_trainer.tasks.programs import ENTRY_POINT
from sandbox import Sandbox
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from reference_trainer.rollout import Rollout
    from reference_trainer.stream import Prompt

MAX_PROGRAM_CHARS = 100_000
_LIMITS = {"time_s": 2.0, "wall_s": 10.0, "memory_mb": 256, "output_kb": 64, "processes": 8, "file_kb": 1024}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One response to verify.

    Attributes:
        gold: Text or list of texts: mathematics. ``{"digit": "7"}``: a number that has to be written out as one digit,
            not as a sum that has its value. ``{"entry_point", "cases": [[arguments, result], ...]}``: a function, on
            hidden cases. ``{"cases": [{"stdin", "expected"}, ...]}``: a program, on hidden cases.
        response: What the model wrote.
        truncated: Whether it was cut at the length limit.
    """

    gold: Any
    response: str
    truncated: bool = False


class Verifier:
    """Right or wrong, for mathematics, science and code; use it as a context manager.

    Args:
        sandbox: An open one, which stays open; None: one of its own, started with the first program.
        workers: Processes of the grader and of an own sandbox; None: the usable CPUs.
    """

    def __init__(self, sandbox: Sandbox | None = None, workers: int | None = None) -> None:
        self._math = MathGrader("strict", workers, boxes_only=True)
        self._given, self._workers = sandbox, workers
        self._own: Sandbox | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the grader's workers and the own sandbox."""
        self._math.close()
        if self._own is not None:
            self._own.close()
            self._own = None

    def verify(self, attempts: Sequence[Attempt]) -> list[bool]:
        """One verdict an attempt, in order. Total: any response has one.

        Raises:
            UsageError: A gold is none.
            SandboxError: Programs cannot be isolated here, or the sandbox failed; no verdict follows from that.
        """
        verdicts: list[bool] = [False] * len(attempts)
        answers: list[int] = []
        jobs: dict[str, dict[str, Any]] = {}
        waiting: dict[str, list[int]] = {}
        for number, attempt in enumerate(attempts):
            if not isinstance(attempt.gold, Mapping) or "digit" in attempt.gold:
                answers.append(number)
            elif (job := _job(attempt)) is not None:
                key = repr(job)  # groups repeat themselves: the same program on the same cases is run once
                jobs[key] = job
                waiting.setdefault(key, []).append(number)
        for number, right in zip(answers, self._right([attempts[number] for number in answers]), strict=True):
            verdicts[number] = right
        for key, accepted in zip(jobs, self._accepted(list(jobs.values())), strict=True):
            for number in waiting[key]:
                verdicts[number] = accepted
        return verdicts

    def _right(self, attempts: list[Attempt]) -> list[bool]:
        digits = [attempt.gold["digit"] if isinstance(attempt.gold, Mapping) else None for attempt in attempts]
        golds = [attempt.gold if digit is None else digit for attempt, digit in zip(attempts, digits, strict=True)]
        graded = self._math.grade_many(
            (attempt.response, gold, attempt.truncated) for attempt, gold in zip(attempts, golds, strict=True)
        )
        # The grader takes 3+4 for 7, as it should; a toy answer that leaves the sum undone is a hacked reward.
        return [
            answer.correct and (digit is None or answer.extracted == digit)
            for answer, digit in zip(graded, digits, strict=True)
        ]

    def _accepted(self, jobs: list[dict[str, Any]]) -> list[bool]:
        if not jobs:
            return []
        results = list(self._sandbox().map(jobs))
        for result in results:
            if result.verdict == "internal_error":
                raise SandboxError(f"the sandbox could not judge a program ({result.message}); run the command again")
        return [result.verdict == "accepted" for result in results]

    def _sandbox(self) -> Sandbox:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = Sandbox(workers=self._workers)
        return self._own


class VerifierReward:
    """The reward function of ``RLTrainer``: 1.0 for a right response, else 0.0; no partial credit, no format reward."""

    def __init__(self, tokenizer: Any, verifier: Verifier) -> None:
        """``tokenizer`` decodes responses; ``verifier`` is not closed here."""
        self._tokenizer, self._verifier = tokenizer, verifier

    def __call__(self, prompts: "Sequence[Prompt]", rollouts: "Sequence[Rollout]") -> list[float]:
        """Rewards of responses i = 0, 1, ... to ``prompts[i]``; errors as in ``Verifier.verify``."""
        texts = [self._tokenizer.decode(r.response.tolist(), skip_special_tokens=True) for r in rollouts]
        attempts = [
            Attempt(prompt.gold, text, rollout.truncated)
            for prompt, text, rollout in zip(prompts, texts, rollouts, strict=True)
        ]
        return [float(verdict) for verdict in self._verifier.verify(attempts)]


def toy_gold(problem: ToyProblem) -> dict[str, Any]:
    """What ``Verifier`` compares a response to a toy problem with."""
    if problem.domain == "code":
        return {"entry_point": ENTRY_POINT, "cases": [[[x], y] for x, y in problem.cases]}
    return {"digit": problem.answer}


def _job(attempt: Attempt) -> dict[str, Any] | None:
    """The sandbox job of a program; None where the response holds none. Expected results never enter the sandbox."""
    gold = attempt.gold
    if not gold.get("cases"):
        raise UsageError(
            f"a gold for code needs cases, at least one; this one has the keys {', '.join(gold) or 'none'}"
        )
    entry_point = gold.get("entry_point")
    answer = after_thinking(attempt.response) or ""
    program = function_program(answer, "", entry_point) if entry_point else last_block(answer)
    if not program or len(program) > MAX_PROGRAM_CHARS:
        return None
    shared = {"code": program, "limits": _LIMITS, "options": {"stop_at_first_failure": True}}
    if entry_point is None:
        return {"mode": "judge", "tests": list(gold["cases"]), **shared}
    cases = [{"args": list(arguments), "expected": expected} for arguments, expected in gold["cases"]]
    return {"mode": "call", "tests": {"entry_point": entry_point, "cases": cases}, **shared}
