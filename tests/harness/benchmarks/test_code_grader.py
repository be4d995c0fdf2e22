"""Programs judged in the real sandbox: HumanEval, LiveCodeBench, HumanEval+ and MBPP+."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.card import load_card
from harness.errors import UsageError
from harness.graders.code import CodeGrader
from harness.importers import read_generations
from harness.problems import LoadOptions, load_problems
from harness.types import Grade, Problem, Sample
from sandbox import Sandbox

OFFLINE = LoadOptions(hub="never")


@pytest.fixture(scope="module")
def grader() -> Iterator[CodeGrader]:
    with Sandbox(workers=2) as sandbox:
        yield CodeGrader(sandbox)


def graded(grader: CodeGrader, pairs: list[tuple[Problem, Sample]]) -> list[Grade]:
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda pair: grader.grade(*pair), pairs))


def answer(problem: Problem, response: str, finish: Any = "stop", **metadata: object) -> Sample:
    return Sample("t", "b", problem.id, 0, None, response, finish, metadata=metadata)


def test_humaneval_accepts_canonical_solutions_and_refuses_functions_that_return_nothing(grader: CodeGrader) -> None:
    problems = load_problems(load_card("humaneval"), None, OFFLINE)
    assert len(problems) == 164
    right = graded(grader, [(p, answer(p, p.gold["canonical_solution"])) for p in problems])
    assert [g.evidence for g in right if not g.correct] == []
    chat = graded(grader, [(p, answer(p, f"```python\n{p.prefix}{p.gold['canonical_solution']}```")) for p in problems])
    assert [g.evidence for g in chat if not g.correct] == []
    nothing = graded(grader, [(p, answer(p, "    return None\n")) for p in problems])
    assert [g.problem_id for g in nothing if g.correct] == []
    assert {g.status for g in nothing} == {"ok"}


@pytest.mark.parametrize(
    ("response", "finish", "status"),
    [
        ("", "stop", "no_answer"),
        ("I cannot.", "stop", "no_answer"),
        ("<think>def", "length", "truncated"),
        ("", "length", "truncated"),
        ("<think>never closed", "stop", "no_answer"),
        ("    x = 1\n" * 200_000, "stop", "refused_input"),
    ],
)
def test_no_program_is_not_a_wrong_program(grader: CodeGrader, response: str, finish: str, status: str) -> None:
    problem = load_problems(load_card("humaneval"), None, OFFLINE)[0]
    grade = grader.grade(problem, answer(problem, response, finish))
    assert (grade.status, grade.correct) == (status, False)


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "print('accepted')",
        "class Any:\n    def __eq__(self, o): return True\ndef has_close_elements(a, b): return Any()",
        "import builtins\nbuiltins.AssertionError = None\ndef has_close_elements(a, b): return None",
        "def has_close_elements(a, b):\n    raise SystemExit(0)",
        "import sys\ndef has_close_elements(a, b):\n    sys._getframe(1).f_globals['check'] = None\n    return 1",
    ],
)
def test_forged_passes_are_refused(grader: CodeGrader, program: str) -> None:
    problem = load_problems(load_card("humaneval"), None, OFFLINE)[0]
    assert not grader.grade(problem, answer(problem, "", program=program)).correct


def lcb(name: str = "q", function: str | None = None, tests: object = None, private: object = None) -> Problem:
    return Problem(
        name,
        "",
        {
            "kind": "livecodebench",
            "function": function,
            "starter_code": "",
            "public_tests": tests,
            "private_tests": private,
        },
    )


def judged(grader: CodeGrader, problem: Problem, code: str) -> Grade:
    return grader.grade(problem, answer(problem, f"Thus:\n```python\n{code}\n```"))


@pytest.mark.parametrize(
    ("expected", "printed", "accepted"),
    [
        ("1 2\n3\n", "1 2\n3", True),
        ("1 2\n3\n", "  1 2  \n3   \n\n", True),
        ("0.5 1.50\n", "0.50 1.5", True),
        ("0.5", "0.5000001", False),
        ("1 2", "1  2", True),  # equal as decimals
        ("a b", "a  b", False),
        ("1\n2", "1\n\n2", False),
        ("Yes", "yes", False),
        ("50000000000000000", "50000000000000001", False),
        ("nan", "nan", True),
    ],
)
def test_stdin_comparison_is_the_official_one(grader: CodeGrader, expected: str, printed: str, accepted: bool) -> None:
    problem = lcb(tests=[{"input": "", "output": expected, "testtype": "stdin"}])
    assert judged(grader, problem, f"print({printed!r}, end='')").correct is accepted


@pytest.mark.parametrize(
    ("returned", "expected", "accepted"),
    [
        ("(1, 2)", "[1, 2]", True),  # a tuple counts as a list
        ("[(1, 2)]", "[[1, 2]]", True),  # inside too: JSON has no tuples to tell apart
        ("[1, 2]", "[2, 1]", False),
        ("1.0", "1", True),
        ("True", "1", True),
        ("'1'", "1", False),
        ("None", "null", True),
        ("0.1 + 0.2", "0.3", False),
        ("[[1], []]", "[[1], []]", True),
    ],
)
def test_function_results_are_compared_as_the_official_checker_does(
    grader: CodeGrader, returned: str, expected: str, accepted: bool
) -> None:
    problem = lcb(function="go", tests=[{"input": '[1]\n"a"', "output": expected, "testtype": "functional"}])
    head = "class Solution:\n    def go(self, a: List[int], b: str):\n        assert a == [1] and b == 'a'\n"
    code = f"{head}        return {returned}"
    assert judged(grader, problem, code).correct is accepted
    plain = f"def go(a, b):\n    return {returned}"
    assert judged(grader, problem, plain).correct is accepted


def test_the_first_failing_test_ends_it_and_is_named(grader: CodeGrader) -> None:
    tests = [{"input": str(n), "output": str(n), "testtype": "stdin"} for n in range(5)]
    grade = judged(grader, lcb(tests=tests[:2], private=tests[2:]), "n = int(input())\nprint(n if n < 3 else 0)")
    found = grade.evidence
    assert (found["verdict"], found["failing_test"], found["tests_run"], found["tests"]) == ("wrong_answer", 3, 4, 5)
    assert found["error_code"] == -2


@pytest.mark.parametrize(
    ("code", "number"),
    [("print(1)", -2), ("while True: pass", -3), ("1/0", -4), ("def (", -4)],
)
def test_error_codes_are_the_official_ones(grader: CodeGrader, code: str, number: int) -> None:
    problem = lcb(tests=[{"input": "", "output": "0", "testtype": "stdin"}])
    assert judged(grader, problem, code).evidence["error_code"] == number


@pytest.mark.parametrize(
    "code",
    [
        "import threading\nt = threading.Thread(target=lambda: print(sum(map(int, input().split()))))\nt.start()",
        "import sys\nprint(sum(int(x) for line in sys.stdin for x in line.split()))",
        "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))",
        "print(sum(map(int, open(0).read().split())))",
        "from __future__ import annotations\ntotal = 0\ndef add(x: Nothing):\n    global total\n    total += x\n"
        "for x in input().split(): add(int(x))\nprint(total)",
        "if __name__ == '__main__':\n    print(gcd(0, 6))",
        "import sys\nprint(6)\nsys.exit(0)",
    ],
)
def test_right_programs_that_the_official_grader_or_its_mocks_trip_over(grader: CodeGrader, code: str) -> None:
    problem = lcb(tests=[{"input": "1 2 3\n", "output": "6\n", "testtype": "stdin"}])
    assert judged(grader, problem, code).correct


def test_damaged_tests_are_an_error_and_no_verdict(grader: CodeGrader) -> None:
    with pytest.raises(UsageError, match="q, private_tests"):
        judged(grader, lcb(tests=[], private="!!!"), "print(1)")
    bad = lcb(function="go", tests=[{"input": "not json", "output": "1", "testtype": "functional"}])
    with pytest.raises(UsageError, match="not one JSON value a line"):
        judged(grader, bad, "def go(x): return 1")


def test_without_tests_nothing_is_accepted(grader: CodeGrader) -> None:
    grade = judged(grader, lcb(tests=None), "print(1)")
    assert (grade.correct, grade.status, grade.evidence["verdict"]) == (False, "refused_input", "no_tests")


@pytest.mark.data
def test_the_three_problems_with_full_tests(grader: CodeGrader, data: Path) -> None:
    card = load_card("livecodebench")
    problems = {p.id: p for p in load_problems(card, data, LoadOptions(window=("", ""), hub="never"))}
    samples = read_generations(
        data / "livecodebench/eval_all_o1-mini-2024-09-12_n1.jsonl", card, list(problems.values())
    )
    right = {s.problem_id: s for s in samples if s.metadata["official"]["correct"]}
    rows = [json.loads(line) for line in (data / "livecodebench/full_tests_3_problems.jsonl").read_text().splitlines()]
    for row in rows:
        known, name = row["decoded_test"], row["question_id"]
        kind = "functional" if problems[name].gold["function"] else "stdin"
        tests = [
            {"input": i, "output": o, "testtype": kind} for i, o in zip(known["inputs"], known["outputs"], strict=True)
        ]
        problem = Problem(name, "", {**problems[name].gold, "public_tests": tests, "private_tests": None})
        accepted = grader.grade(problem, right[name])
        assert accepted.correct, accepted.evidence
        assert accepted.evidence["tests"] == len(tests) >= 5
        program = accepted.extracted or ""
        broken = [program + "\nprint('more')" if kind == "stdin" else program.replace("return ", "return not "), "pass"]
        for code in broken:
            assert not judged(grader, problem, code).correct


@pytest.mark.data
@pytest.mark.slow
def test_every_officially_accepted_program_passes_its_public_tests(grader: CodeGrader, data: Path) -> None:
    card = load_card("livecodebench")
    problems = load_problems(card, data, LoadOptions(window=("", ""), hub="never"))
    by_id = {p.id: p for p in problems}
    samples = list(read_generations(data / "livecodebench/eval_all_o1-mini-2024-09-12_n1.jsonl", card, problems))
    grades = graded(grader, [(by_id[s.problem_id], s) for s in samples])
    accepted = [(g, s) for g, s in zip(grades, samples, strict=True) if s.metadata["official"]["correct"]]
    # Timing is the one thing that two machines may see differently, and one problem has no public test.
    exceptions = [g for g, _ in accepted if not g.correct and g.evidence["verdict"] not in ("time_limit", "no_tests")]
    assert [(g.problem_id, g.evidence) for g in exceptions] == []
    assert sum(not g.correct for g, _ in accepted) <= 3
    assert sum(not g.correct for g in grades) > 150
