# ruff: noqa: E501 - one program a line reads better
"""Programs that read stdin: this sandbox, a fresh interpreter a case, and a checker of LiveCodeBench's kind."""

import contextlib
import io
import multiprocessing
import signal
import subprocess
import sys
from typing import Any

from benchmarks.perf.sandbox_humaneval import LIMITS, measure
from sandbox import Sandbox


def _cases(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"stdin": stdin, "expected": expected} for stdin, expected in pairs]


def problems() -> list[dict[str, Any]]:
    """Small programs of the kinds that contests ask for, each with three cases."""
    numbers = list(range(1, 2001))
    text = "the quick brown fox jumps over the lazy dog " * 40
    sources = {
        "a, b = map(int, input().split())\nprint(a + b)": _cases(("1 2", "3"), ("5 -7", "-2"), ("0 0", "0")),
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))": _cases(
            ("1 2 3", "6"), ("\n".join(map(str, numbers)), "2001000"), ("", "0")
        ),
        "n = int(input())\na = sorted(map(int, input().split()))\nprint(*a)": _cases(
            ("3\n3 1 2", "1 2 3"),
            ("1\n5", "5"),
            (f"2000\n{' '.join(map(str, numbers[::-1]))}", " ".join(map(str, numbers))),
        ),
        "from collections import Counter\nimport sys\nc = Counter(sys.stdin.read().split())\nprint(*max(c.items()))": _cases(
            ("a b b", "b 2"), (text, "the 80"), ("z", "z 1")
        ),
        "n = int(input())\ns = bytearray([1]) * (n + 1)\nfor i in range(2, int(n**.5) + 1):\n"
        "    if s[i]:\n        s[i*i::i] = bytes(len(s[i*i::i]))\nprint(sum(s[2:]))": _cases(
            ("10", "4"), ("1000", "168"), ("100000", "9592")
        ),
        "import heapq\nn, m = map(int, input().split())\ng = [[] for _ in range(n)]\nfor _ in range(m):\n"
        "    a, b, w = map(int, input().split())\n    g[a].append((b, w))\nd = [10**9] * n\nd[0] = 0\nq = [(0, 0)]\n"
        "while q:\n    x, u = heapq.heappop(q)\n    for v, w in g[u]:\n        if x + w < d[v]:\n            d[v] = x + w\n"
        "            heapq.heappush(q, (d[v], v))\nprint(d[-1])": _cases(
            ("3 3\n0 1 5\n1 2 5\n0 2 20", "10"),
            ("2 1\n0 1 7", "7"),
            ("300 299\n" + "\n".join(f"{i} {i + 1} 1" for i in range(299)), "299"),
        ),
        "s, t = input(), input()\nd = [[0] * (len(t) + 1) for _ in range(len(s) + 1)]\nfor i, a in enumerate(s):\n"
        "    for j, b in enumerate(t):\n        d[i+1][j+1] = d[i][j] + 1 if a == b else max(d[i][j+1], d[i+1][j])\n"
        "print(d[-1][-1])": _cases(("abcde\nace", "3"), ("a\nb", "0"), ("xy" * 60 + "\n" + "yx" * 60, "119")),
        "for line in open(0):\n    print(line.strip()[::-1])": _cases(("abc", "cba"), ("a\nb", "a\nb"), ("xy\n" * 500, "yx\n" * 500)),
    }  # fmt: skip
    return [{"code": code, "cases": cases} for code, cases in sources.items()]


def _same(output: str, expected: str) -> bool:
    return [line.rstrip() for line in output.rstrip().split("\n")] == [
        line.rstrip() for line in expected.rstrip().split("\n")
    ]


def fresh_python(problem: dict[str, Any]) -> bool:
    """A new isolated-mode interpreter for each case; nothing is confined."""
    for case in problem["cases"]:
        command = [sys.executable, "-I", "-c", problem["code"]]
        done = subprocess.run(command, input=case["stdin"], capture_output=True, text=True, timeout=60)
        if done.returncode or not _same(done.stdout, case["expected"]):
            return False
    return True


def _guarded(problem: dict[str, Any], verdicts: Any) -> None:
    """All cases in one forked process, with ``sys.stdin`` replaced and an alarm: how LiveCodeBench's checker works."""
    compiled = compile(problem["code"], "solution", "exec")
    for case in problem["cases"]:
        stdin = io.TextIOWrapper(io.BytesIO(case["stdin"].encode()))
        output = io.StringIO()
        signal.alarm(10)
        previous, sys.stdin = sys.stdin, stdin
        try:
            with contextlib.redirect_stdout(output):
                scope = {"__name__": "__main__", "open": lambda *_, stdin=stdin: stdin}
                exec(compiled, scope)  # noqa: S102 - programs of this file
        finally:
            sys.stdin = previous
            signal.alarm(0)
        verdicts.append(_same(output.getvalue(), case["expected"]))


def guard_in_a_fork(problem: dict[str, Any]) -> bool:
    """A manager and a forked process a solution; nothing is confined."""
    with multiprocessing.Manager() as manager:
        verdicts = manager.list()
        process = multiprocessing.Process(target=_guarded, args=(problem, verdicts))
        process.start()
        process.join(timeout=60)
        return len(verdicts) == len(problem["cases"]) and all(verdicts)


def run(rounds: int, workers: int) -> dict[str, Any]:
    """``rounds`` interleaved passes of every subject; CPU milliseconds are per case."""
    work = problems() * 5
    cases = sum(len(problem["cases"]) for problem in work)
    with Sandbox(workers=workers) as sandbox:

        def judged(problem: dict[str, Any]) -> bool:
            job = {"mode": "judge", "code": problem["code"], "tests": problem["cases"], "limits": LIMITS}
            return sandbox.execute(job).verdict == "accepted"

        found = {"sandbox, judge": judged, "fresh python -I": fresh_python, "guard in a fork": guard_in_a_fork}
        passes: dict[str, list[tuple[float, float, int]]] = {}
        for check in found.values():
            measure(check, work[:4], workers)
        for _ in range(rounds):
            for name, check in found.items():
                passes.setdefault(name, []).append(measure(check, work, workers))
    table = {}
    for name, results in passes.items():
        cpu = sorted(one[0] / cases for one in results)
        table[name] = {
            "cpu_ms": round(cpu[len(cpu) // 2], 2),
            "cpu_ms_best": round(cpu[0], 2),
            "per_s": round(cases / min(one[1] for one in results), 1),
            "not_accepted": max(one[2] for one in results),
        }
    return table
