"""Scorer ``code-compat``: what LiveCodeBench's own checker would say, beside what is right."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.card import load_card
from harness.graders.code import CodeGrader
from harness.graders.code.inprocess import wrapped
from harness.grading_scorers import COMPAT, OFFICIAL, scorer_names
from harness.importers import read_generations
from harness.problems import LoadOptions, load_problems
from harness.types import Problem, Sample
from sandbox import Sandbox


@pytest.fixture(scope="module")
def graders() -> Iterator[tuple[CodeGrader, CodeGrader]]:
    with Sandbox(workers=2) as sandbox:
        yield CodeGrader(sandbox), CodeGrader(sandbox, compatible=True)


def lcb(function: str | None, *tests: tuple[str, str]) -> Problem:
    cases = [{"input": i, "output": o, "testtype": "functional" if function else "stdin"} for i, o in tests]
    gold = {
        "kind": "livecodebench",
        "function": function,
        "starter_code": "",
        "public_tests": cases,
        "private_tests": [],
    }
    return Problem("q", "", gold)


SUM = lcb(None, ("1 2\n3\n", "6\n"), ("4\n", "4.0"))
INC = lcb("go", ("[1]", "2"), ("[2]", "3"))
READ = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"
MAIN = """
import sys
if __name__ == '__main__':
    print(sum(map(int, sys.stdin.read().split())))
"""
LINES = """
n = 0
try:
    while True:
        n += sum(map(int, input().split()))
except EOFError:
    print(n)
    sys.exit()
"""
THREAD = """
import threading, time
def go():
    time.sleep(0.2)
    print(sum(map(int, open(0).read().split())))
threading.Thread(target=go).start()
"""
STATE = """
class Solution:
    seen = []
    def go(self, x):
        self.seen.append(x)
        return len(self.seen)
"""


@pytest.mark.parametrize(
    ("problem", "code", "right", "official", "error"),
    [
        (SUM, READ, True, True, None),
        (SUM, MAIN, True, True, None),
        (SUM, LINES, True, True, None),
        (SUM, "print(0)", False, False, -2),
        (SUM, "print(1/0)", False, False, -4),
        (SUM, "def (", False, False, -4),
        (SUM, THREAD, True, False, -2),
        (SUM, "print(sum(map(int, open(0).read().split())))", True, False, -3),
        (SUM, READ.replace("stdin.read", "stdin.buffer.read"), True, False, -4),
        (SUM, "import resource, sys\n" + READ, True, False, -4),
        (INC, "class Solution:\n    def go(self, x): return x[0] + 1", True, True, None),
        (INC, "def go(x): return x[0] + 1", True, True, None),
        (lcb("go", ("1", "[[1, 2]]")), "def go(x): return [(1, 2)]", True, False, -2),
        (lcb("go", ("1", "[1, 2]")), "def go(x): return (1, 2)", True, True, None),
        (lcb("go", ("1", "1"), ("1", "1")), STATE, None, False, -2),
        (lcb("go", ("1", "1")), "def go(x): raise KeyError", False, False, -4),
    ],
)
def test_ours_and_theirs(
    graders: tuple[CodeGrader, CodeGrader],
    problem: Problem,
    code: str,
    right: bool | None,
    official: bool,
    error: int | None,
) -> None:
    ours, theirs = (g.judge(problem, code) for g in graders)
    if right is not None:
        assert ours[0] is right, ours[1]
    assert theirs[0] is official, theirs[1]
    assert theirs[1].get("error_code") == error


def test_a_program_that_never_ends_or_only_waits_is_a_time_limit(graders: tuple[CodeGrader, CodeGrader]) -> None:
    for code in ("while True: pass", "import time\ntime.sleep(1000)"):
        assert graders[1].judge(SUM, code)[1]["error_code"] == -3
    assert graders[1].judge(lcb("go", ("1", "1")), "def go(x):\n    while True: pass")[1]["error_code"] == -3


def test_a_program_cannot_write_its_own_results(graders: tuple[CodeGrader, CodeGrader]) -> None:
    line = b'{"text": "6"}\n'
    forged = (
        f"import os\nfor fd in range(3, 60):\n    try: os.write(fd, {line!r})\n    except OSError: pass\nos._exit(0)"
    )
    correct, found = graders[1].judge(lcb(None, ("1", "7"), ("2", "8")), forged)
    assert not correct, found


@pytest.mark.parametrize("code", ["def (", "x = 'open", "\x00"])
def test_what_does_not_parse_is_left_as_it_is(code: str) -> None:
    assert wrapped(code, "") == code


def test_the_scorer_is_only_there_where_it_is_asked_for() -> None:
    card = load_card("livecodebench")
    assert scorer_names(card) == ("code",)
    assert scorer_names(card, ["code", COMPAT, OFFICIAL]) == ("code", COMPAT, OFFICIAL)
    assert scorer_names(load_card("humaneval"), ["code", COMPAT]) == ("code",)


@pytest.mark.data
@pytest.mark.slow
def test_every_officially_accepted_program_is_accepted(graders: tuple[CodeGrader, CodeGrader], data: Path) -> None:
    card = load_card("livecodebench")
    problems = load_problems(card, data, LoadOptions(window=("", ""), hub="never"))
    by_id: dict[str, Any] = {p.id: p for p in problems}
    samples = list(read_generations(data / "livecodebench/eval_all_o1-mini-2024-09-12_n1.jsonl", card, problems))
    wanted: list[Sample] = [s for s in samples if s.metadata["official"]["correct"]]
    with ThreadPoolExecutor(2) as threads:
        grades = list(threads.map(lambda s: graders[1].grade(by_id[s.problem_id], s), wanted))
    assert {g.scorer for g in grades} == {COMPAT}
    assert [(g.problem_id, g.evidence) for g in grades if not g.correct] == []
