"""The code grader: response -> program -> sandbox -> ``Grade``.

Forms of ``Problem.gold``, by ``gold["kind"]``:

- ``livecodebench``: ``function`` (name, or None for a program that reads stdin), ``starter_code``, ``public_tests``
  and ``private_tests`` (as stored: JSON text, the hub's encoded text, a list of ``{input, output, testtype}``, None).
- ``humaneval``: ``prompt``, ``entry_point``, ``test`` (source that defines ``check``), ``canonical_solution``.
- ``evalplus``: ``dataset`` (``humaneval`` or ``mbpp``), ``task_id``, ``prompt``, ``entry_point``,
  ``canonical_solution``, ``base_input``, ``plus_input``, ``atol``, ``contract``.
"""

from typing import Any

from harness.errors import UsageError
from harness.graders.code import compatible as official_rules
from harness.graders.code import humaneval, livecodebench
from harness.graders.code.evalplus import Oracle
from harness.graders.code.extract import after_thinking, function_program, last_block
from harness.types import Grade, GradeStatus, Problem, Sample
from sandbox import Sandbox
from sandbox.errors import SandboxError
from sandbox.job import Job, Result

MAX_PROGRAM_CHARS = 1_000_000
_SHOWN = 2000


class CodeGrader:
    """Judges programs in a sandbox that the caller owns. Threads may share one grader.

    Attributes:
        scorer: Name under which grades are stored: ``code``, or ``code-compat``.
    """

    def __init__(self, sandbox: Sandbox, compatible: bool = False) -> None:
        """``sandbox`` must be open; it is not closed here.

        ``compatible``: LiveCodeBench's verdicts are those of its own checker, mistakes included.
        """
        self.scorer = "code-compat" if compatible else "code"
        self._sandbox = sandbox
        self._oracle = Oracle(self.execute)

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        """Judges one response, or the program in ``sample.metadata["program"]`` where an importer found one.

        Raises:
            UsageError: The problem's gold is of no known form or its tests are damaged.
            SandboxError: The sandbox failed, retries included: no verdict on the program follows from that.
        """
        program = sample.metadata.get("program")
        if program is None:
            answer = after_thinking(sample.response)
            program = None if answer is None else program_of(problem.gold, answer)
        if not program:
            status: GradeStatus = "truncated" if sample.finish_reason == "length" else "no_answer"
            return self._make(problem, sample, status, None, False, {"verdict": status})
        if len(program) > MAX_PROGRAM_CHARS:
            return self._make(problem, sample, "refused_input", program, False, {"verdict": "program too long"})
        correct, found = self.judge(problem, program)
        if found["verdict"] == "no_tests":
            return self._make(problem, sample, "refused_input", program, False, found)
        if "official" in sample.metadata:
            found["official"] = sample.metadata["official"]
        return self._make(problem, sample, "ok", program, correct, found)

    def judge(self, problem: Problem, program: str) -> tuple[bool, dict[str, Any]]:
        """Judges a program that is already extracted; returns the verdict and its evidence. Errors as ``grade``."""
        gold = problem.gold
        if gold["kind"] == "evalplus":
            return self._oracle.judge(program, gold)
        if gold["kind"] == "humaneval":
            result = self.execute(humaneval.job(program, gold, problem.id))
            found = {"verdict": result.verdict, "cpu_s": round(result.cpu_s, 3), "message": result.message[:500]}
            return result.verdict == "accepted", found
        if self.scorer == "code-compat":
            return official_rules.judge(self.execute, program, gold, problem.id)
        job = livecodebench.job(program, gold, problem.id)
        if job is None:  # nothing to judge with is no acceptance
            return False, {"verdict": "no_tests", "message": "this copy of the data has no tests for the problem"}
        result = self.execute(job)
        total = len(job.tests.cases) if job.tests is not None and hasattr(job.tests, "cases") else 0
        return result.verdict == "accepted", livecodebench.evidence(result, gold, total)

    def execute(self, job: Job) -> Result:
        """Runs a job; a fault of the sandbox is an exception and never a verdict."""
        result = self._sandbox.execute(job)
        if result.verdict == "internal_error":
            raise SandboxError(f"the sandbox could not judge {job.id} ({result.message}); run the command again")
        return result

    def close(self) -> None:
        """Nothing is held: the sandbox belongs to the caller."""

    def _make(
        self, problem: Problem, sample: Sample, status: GradeStatus, program: str | None, correct: bool, found: Any
    ) -> Grade:
        return Grade(
            task=sample.task,
            benchmark=sample.benchmark,
            problem_id=problem.id,
            index=sample.index,
            scorer=self.scorer,
            correct=correct,
            status=status,
            extracted=program[:_SHOWN] if program is not None else None,
            evidence=found,
        )


def program_of(gold: Any, answer: str) -> str | None:
    """The program in an answer (its thinking removed), by the rule of the gold's benchmark; None or "": there is none.

    Raises:
        UsageError: The gold is of no known form.
    """
    kind = gold.get("kind") if isinstance(gold, dict) else None
    if kind == "livecodebench":
        return last_block(answer)
    if kind in ("humaneval", "evalplus"):
        return function_program(answer, gold["prompt"], gold["entry_point"])
    raise UsageError(f"the code grader knows no gold of kind {kind!r}")
