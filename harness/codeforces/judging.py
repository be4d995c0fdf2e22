"""Judges submissions to contest problems in the sandbox: programs in, verdicts out, in the form that ``rate`` reads."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.codeforces.contest import Contest, ContestProblem
from harness.errors import UsageError
from sandbox import Sandbox
from sandbox.job import Checker, Job, JudgeCase, JudgeTests, Limits, Options

LANGUAGES = ("cpp", "python", "java")


def read_submissions(path: Path, contests: Sequence[Contest]) -> Iterator[tuple[dict[str, Any], ContestProblem]]:
    """Reads ``{"contest", "problem", "index", "code", "language"}`` lines with the problem that each is for.

    Raises:
        UsageError: The file cannot be read, a line lacks a field, or names what the contest file does not hold.
    """
    problems = {(contest.id, problem.id): problem for contest in contests for problem in contest.problems}
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                row = json.loads(line)
                row = {key: row[key] for key in ("contest", "problem", "index", "code")} | {
                    "language": row.get("language", "cpp")
                }
                if row["language"] not in LANGUAGES:
                    raise UsageError(
                        f"{path}, line {number}: unknown language '{row['language']}'; known: cpp, java, python"
                    )
                problem = problems.get((str(row["contest"]), str(row["problem"])))
                if problem is None:
                    raise UsageError(
                        f"{path}, line {number}: no problem '{row['problem']}' in contest '{row['contest']}'"
                    )
                if not problem.tests:
                    raise UsageError(f"problem '{problem.id}' of contest '{row['contest']}' has no tests to judge with")
                yield row, problem
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a JSONL file of submissions") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}, line {number}: needs contest, problem, index and code ({error})") from error


def job_of(row: dict[str, Any], problem: ContestProblem) -> Job:
    """The sandbox job of one submission; like the real judge it stops at the first test that fails."""
    checker = Checker.model_validate(problem.checker) if problem.checker else None
    cases = [JudgeCase(stdin=test["stdin"], expected=test["expected"], checker=checker) for test in problem.tests]
    return Job(
        id=f"{row['contest']}/{row['problem']}/{row['index']}",
        language=row["language"],
        mode="judge",
        code=row["code"],
        tests=JudgeTests(cases=cases),
        limits=Limits(time_s=problem.time_s, memory_mb=problem.memory_mb),
        options=Options(std="c++20", stop_at_first_failure=True),
    )


def judge(submissions: Iterator[tuple[dict[str, Any], ContestProblem]], sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """Verdicts in the order of the submissions.

    Raises:
        UsageError: A problem's checker or tests are malformed, or the sandbox failed: no verdict follows from that.
    """
    rows: list[dict[str, Any]] = []

    def jobs() -> Iterator[Job]:
        for row, problem in submissions:
            rows.append({key: row[key] for key in ("contest", "problem", "index")})
            yield job_of(row, problem)

    for place, result in enumerate(sandbox.map(jobs())):
        if result.verdict in ("internal_error", "refused"):
            raise UsageError(f"submission {result.id} could not be judged: {result.message}")
        yield {**rows[place], "correct": result.verdict == "accepted", "verdict": result.verdict}
