"""LiveCodeBench: tests public then private, stdin or function call, first failure decides.

Semantics of lcb_runner/evaluation/testing_util.py of LiveCodeBench @ 28fef95: 6 s a test; outputs compared line by
line, exactly or as decimals; results by ``==`` after a tuple became a list; the same modules imported beforehand.
Different on purpose: every test runs in a process of its own with a real standard input, so that threads, buffers and
``sys.exit`` behave as they do for a contestant; each call gets a fresh ``Solution``; a tuple counts as a list inside a
result too (upstream: only as the whole result).
"""

import json
from typing import Any

from harness.errors import UsageError
from harness.loaders.livecodebench import decode_tests
from sandbox.job import CallCase, CallTests, Checker, Job, JudgeCase, JudgeTests, Limits, Options, Result

TIME_LIMIT_S = 6.0
MEMORY_LIMIT_MB = 2048

_MODULES = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json",
)  # fmt: skip
# builtins comes after the stars so that names such as pow and open mean what they say.
PRELUDE = "\n".join(
    [f"from {module} import *" for module in (*_MODULES, "builtins", "typing")]
    + [f"import {module}" for module in _MODULES]
    + ["sys.setrecursionlimit(50000)", ""]
)

# Error codes of the official metadata, by verdict of the sandbox.
ERROR_CODES = {
    "wrong_answer": -2,
    "output_limit": -2,
    "time_limit": -3,
    "runtime_error": -4,
    "compile_error": -4,
    "memory_limit": -4,
    "refused": -5,
    "internal_error": -5,
}


def tests_of(gold: dict[str, Any], problem_id: str) -> list[dict[str, Any]]:
    """Public and then private tests of a problem; empty where the source has none.

    Raises:
        UsageError: The stored tests are damaged.
    """
    tests: list[dict[str, Any]] = []
    for name in ("public_tests", "private_tests"):
        stored = gold[name]
        if isinstance(stored, str):
            stored = decode_tests(stored, f"{problem_id}, {name}")
        tests += stored or []
    return tests


def job(code: str, gold: dict[str, Any], problem_id: str) -> Job | None:
    """The sandbox job that judges a program on all tests of a problem; None: there are no tests.

    Raises:
        UsageError: A test is not of the published form.
    """
    tests = tests_of(gold, problem_id)
    if not tests:
        return None
    limits = Limits(time_s=TIME_LIMIT_S, memory_mb=MEMORY_LIMIT_MB, output_kb=32768)
    options = Options(stop_at_first_failure=True)
    program = with_prelude(code)
    if not gold["function"]:
        checker = Checker(type="lcb")
        cases = [JudgeCase(stdin=test["input"], expected=test["output"], checker=checker) for test in tests]
        return Job(
            id=problem_id, mode="judge", code=program, tests=JudgeTests(cases=cases), limits=limits, options=options
        )
    entry = gold["function"]
    if "class Solution" in code:
        entry = f"Solution.{entry}"
    try:
        calls = [
            CallCase(args=[json.loads(line) for line in test["input"].split("\n")], expected=json.loads(test["output"]))
            for test in tests
        ]
    except ValueError as error:
        raise UsageError(f"{problem_id}: a functional test is not one JSON value a line: {error}") from error
    call_tests = CallTests(entry_point=entry, cases=calls)
    return Job(id=problem_id, mode="call", code=program, tests=call_tests, limits=limits, options=options)


def with_prelude(code: str) -> str:
    """The program with the imports that the official checker puts before it; ``__future__`` imports stay first."""
    lines = code.split("\n")
    future = [line for line in lines if line.startswith("from __future__ ")]
    rest = [line for line in lines if not line.startswith("from __future__ ")]
    return "\n".join([*future, PRELUDE, *rest])


def evidence(result: Result, gold: dict[str, Any], total: int) -> dict[str, Any]:
    """What explains the verdict: error code in the official numbering, the failing test's number, times."""
    found: dict[str, Any] = {
        "verdict": result.verdict,
        "tests": total,
        "tests_run": len(result.cases),
        "cpu_s": round(result.cpu_s, 3),
        "private_tests": gold["private_tests"] is not None,
    }
    if result.verdict != "accepted":
        found["error_code"] = ERROR_CODES[result.verdict]
        failing = next((n for n, case in enumerate(result.cases) if case.verdict != "accepted"), None)
        if failing is not None:
            found["failing_test"] = failing
            found["message"] = result.cases[failing].message[:500]
        else:
            found["message"] = result.message[:500]
    return found
