"""LiveCodeBench verdicts as its own checker gives them, known mistakes included (scorer ``code-compat``).

For the question "would the published harness have said the same?"; our own verdict stands beside it. Known mistakes:
output that a thread prints after the main program ended is lost; ``open(0)`` waits for ever and ``sys.stdin.buffer``
does not exist; state of one test lives on in the next. Time is CPU time here, so that a busy machine changes nothing; a
program that only waits is ended as well.
"""

import importlib.resources
import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from harness.errors import UsageError
from harness.graders.code.driver import decode, encode
from harness.graders.code.livecodebench import MEMORY_LIMIT_MB, PRELUDE, TIME_LIMIT_S, tests_of
from sandbox.job import Job, Limits, Options, Result

_VERDICTS = {-2: "wrong_answer", -3: "time_limit", -4: "runtime_error"}
Outcome = tuple[int | None, str]  # official error code (None: right) and a message


def judge(
    execute: Callable[[Job], Result], code: str, gold: dict[str, Any], problem_id: str
) -> tuple[bool, dict[str, Any]]:
    """Judges a program; returns the verdict and its evidence.

    Raises:
        UsageError: The tests are damaged.
        SandboxError: ``execute`` gave no verdict.
    """
    tests = tests_of(gold, problem_id)
    if not tests:
        return False, {"verdict": "no_tests", "message": "this copy of the data has no tests for the problem"}
    make, compare = (_call_job, _call_outcome) if gold["function"] else (_stdin_job, _stdin_outcome)
    result = execute(make(code, gold, problem_id, tests))
    lines = result.stdout.splitlines()
    for number, test in enumerate(tests):
        if number < len(lines):
            error, message = compare(lines[number], test)
        else:
            error, message = (-3 if result.verdict == "time_limit" else -4), result.message or result.verdict
        if error is not None:
            found = {"verdict": _VERDICTS[error], "error_code": error, "failing_test": number, "tests": len(tests)}
            return False, {**found, "message": message[:500]}
    return True, {"verdict": "accepted", "tests": len(tests)}


def _limits(tests: int) -> Limits:
    return Limits(time_s=min(3600.0, TIME_LIMIT_S * (tests + 1) + 2), memory_mb=MEMORY_LIMIT_MB, output_kb=1 << 16)


def _source(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _stdin_job(code: str, gold: dict[str, Any], problem_id: str, tests: list[dict[str, Any]]) -> Job:
    inputs = [test["input"] for test in tests]
    task = {"code": code, "prelude": PRELUDE, "tests": inputs, "limit_s": TIME_LIMIT_S}
    options = Options(stdin=json.dumps(task))
    return Job(id=problem_id, code=_source("inprocess.py"), limits=_limits(len(tests)), options=options)


def _stdin_outcome(line: str, test: dict[str, Any]) -> Outcome:
    try:
        found = json.loads(line)
        if "error" in found:
            return (-3 if found["error"] == -3 else -4), str(found.get("message"))
        text = str(found["text"])
    except (ValueError, KeyError, TypeError):
        return -4, "the program disturbed the line of its results"
    ours, theirs = _lines(text), _lines(test["output"])
    if len(ours) != len(theirs):
        return -2, "mismatched output length"
    for number, (mine, wanted) in enumerate(zip(ours, theirs, strict=True)):
        if mine != wanted and not _same_decimals(mine, wanted):
            return -2, f"line {number}: {mine[:100]!r} instead of {wanted[:100]!r}"
    return None, ""


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_decimals(one: str, other: str) -> bool:
    try:
        return [Decimal(word) for word in one.split()] == [Decimal(word) for word in other.split()]
    except (InvalidOperation, ValueError):
        return False


def _call_job(code: str, gold: dict[str, Any], problem_id: str, tests: list[dict[str, Any]]) -> Job:
    try:
        inputs = [encode([json.loads(line) for line in test["input"].split("\n")]) for test in tests]
    except ValueError as error:
        raise UsageError(f"{problem_id}: a functional test is not one JSON value a line: {error}") from error
    owner = "Solution()." if "class Solution" in code else ""
    task = {
        "program": f"{PRELUDE}\n\n{code}\nofficial_entry_ = {owner}{gold['function']}",
        "entry_point": "official_entry_",
        "parts": [inputs],
        "limits": [TIME_LIMIT_S] * len(tests),
        "form": "value",
        "whole": True,
    }
    options = Options(stdin=json.dumps(task))
    return Job(id=problem_id, code=_source("driver.py"), limits=_limits(len(tests)), options=options)


def _call_outcome(line: str, test: dict[str, Any]) -> Outcome:
    try:
        found = json.loads(line)
        if isinstance(found, dict):
            reason = str(found.get("failed"))
            return (-3 if reason.startswith("_TimeUp") else -4), reason
        value = decode(found[0])
        wanted = json.loads(test["output"])
        same = (list(value) if isinstance(value, tuple) else value) == wanted
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RecursionError) as error:
        return -4, f"unreadable result: {error}"
    return (None, "") if same else (-2, f"{str(value)[:100]} instead of {str(wanted)[:100]}")
