"""From what happened to what is said: outcomes to verdicts, cases to a result."""

from sandbox.job import CaseResult, Job, Result, Verdict
from sandbox.languages import Outcome

_SYNTAX_EXIT = 71
_SYNTAX_WORDS = ("Error", "MemoryError")


def verdict_of(outcome: Outcome) -> Verdict:
    """The verdict on a run before anybody looks at its output: ``accepted`` means that it ended with exit code 0."""
    if outcome.ending in ("time_limit", "memory_limit", "output_limit"):
        return outcome.ending
    return "accepted" if outcome.ok else "runtime_error"


def describe(outcome: Outcome) -> str:
    """One sentence on why a run was not accepted; empty if it was."""
    if outcome.limit:
        return f"over the limit of {outcome.limit}"
    if outcome.signal is not None:
        return f"killed by signal {outcome.signal}"
    if outcome.exit_code:
        last = outcome.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1][:300]
        return f"exit code {outcome.exit_code}" + (f": {last}" if last else "")
    return ""


def python_syntax(outcome: Outcome) -> bool:
    """Whether a Python program did not compile: the warm interpreter's exit code and the error on stderr."""
    if outcome.exit_code != _SYNTAX_EXIT:
        return False
    last = outcome.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
    return last.split(":", 1)[0].endswith(_SYNTAX_WORDS)


def case_result(outcome: Outcome, verdict: Verdict, message: str) -> CaseResult:
    """The evidence of one case."""
    return CaseResult(
        verdict=verdict,
        cpu_s=outcome.cpu_s,
        wall_s=outcome.wall_s,
        memory_mb=outcome.memory_mb,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        message=message,
    )


def summarize(
    job: Job, cases: list[CaseResult], outcomes: list[Outcome], isolation: str, shown: Outcome | None = None
) -> Result:
    """The result of a job. Its verdict, output and exit code are those of the first case that is not accepted."""
    at = next((i for i, case in enumerate(cases) if case.verdict != "accepted"), len(cases) - 1)
    decisive = cases[at] if cases else CaseResult(verdict="accepted")
    outcome = shown or (outcomes[at] if at < len(outcomes) else outcomes[-1] if outcomes else Outcome("exited"))
    message = decisive.message
    if message and len(cases) > 1:
        message = f"case {at + 1} of {len(cases)}: {message}"
    return Result(
        id=job.id,
        verdict=decisive.verdict,
        cases=cases,
        cpu_s=round(sum(case.cpu_s for case in cases), 6),
        wall_s=round(sum(case.wall_s for case in cases), 6),
        memory_mb=max((case.memory_mb for case in cases), default=0.0),
        exit_code=decisive.exit_code,
        signal=decisive.signal,
        stdout=outcome.stdout.decode("utf-8", "replace"),
        stderr=outcome.stderr.decode("utf-8", "replace"),
        stdout_cut=outcome.stdout_cut,
        stderr_cut=outcome.stderr_cut,
        message=message,
        isolation=isolation,
    )
