"""Mode ``judge``: cases, checkers, what is reported."""

import pytest

from sandbox import Sandbox
from sandbox.checkers import check
from sandbox.job import Checker


@pytest.mark.parametrize(
    ("kind", "output", "expected", "right"),
    [
        ("exact", "a\n", "a\n", True),
        ("exact", "a", "a\n", False),
        ("exact", "a \n", "a\n", False),
        ("lines", "a  \nb\t\n\n\n", "a\nb", True),
        ("lines", "a\n\nb", "a\nb", False),
        ("lines", " a", "a", False),
        ("lines", "a\r\nb\r\n", "a\nb\n", True),
        ("lines", "", "", True),
        ("lines", "\n\n", "", True),
        ("lines", "A", "a", False),
        ("tokens", "1   2\n3", "1 2 3", True),
        ("tokens", "1 2", "1 2 3", False),
        ("float", "0.3000001", "0.3", True),
        ("float", "0.30001", "0.3", False),
        ("float", "1000000.5", "1000000", True),
        ("float", "1e400", "inf", True),
        ("float", "nan", "nan", True),
        ("float", "nan", "1", False),
        ("float", "yes 1.0", "yes 1", True),
        ("float", "no 1.0", "yes 1", False),
        ("float", "1_0", "10", False),
        ("lcb", "1.0 2", "1 2.00", True),
        ("lcb", "1.0001", "1", False),
        ("lcb", "  a \n b\n", "a\nb", True),
        ("lcb", "a\n\nb", "a\nb", False),
        ("lcb", "Yes", "yes", False),
        ("lcb", "1,0", "1.0", False),
    ],
)
def test_checkers(kind: str, output: str, expected: str, right: bool) -> None:
    message = check(Checker.model_validate({"type": kind}), output.encode(), expected.encode())
    assert (message == "") is right
    assert right or message


def test_message_names_the_first_difference() -> None:
    assert check(Checker(), b"1\n2\n4\n", b"1\n2\n3\n") == "line 3 is '4', expected '3'"
    assert check(Checker(), b"1\n", b"1\n2\n") == "1 lines, expected 2"


def test_first_case_that_fails_decides(sandbox: Sandbox) -> None:
    cases = [{"stdin": str(n), "expected": str(n * n)} for n in (1, 2, 3)]
    result = sandbox.judge("n = int(input())\nprint(n * n if n < 3 else 1 // 0)", cases)
    assert [case.verdict for case in result.cases] == ["accepted", "accepted", "runtime_error"]
    assert result.verdict == "runtime_error"
    assert result.message.startswith("case 3 of 3: exit code 1: ZeroDivisionError")


def test_stop_at_first_failure(sandbox: Sandbox) -> None:
    cases = [{"stdin": str(n), "expected": "2"} for n in (1, 2, 3)]
    result = sandbox.judge("print(input())", cases, options={"stop_at_first_failure": True})
    assert [case.verdict for case in result.cases] == ["wrong_answer"]


def test_each_case_has_limits_of_its_own(sandbox: Sandbox) -> None:
    code = "import time\nuntil = time.process_time() + 0.6\nwhile time.process_time() < until: pass\nprint('ok')"
    result = sandbox.judge(code, [{"expected": "ok"}] * 3, limits={"time_s": 1.0})
    assert result.verdict == "accepted"
    assert result.cpu_s > 1.7


PYTHON_CHECKER = """
import sys
given, expected, output = (open(name).read().split() for name in sys.argv[1:4])
if sorted(output) != sorted(expected):
    print("not a permutation of", expected)
    sys.exit(1)
"""


def test_checker_program(sandbox: Sandbox) -> None:
    checker = {"type": "program", "language": "python", "code": PYTHON_CHECKER}
    cases = [{"stdin": "x", "expected": "1 2 3", "checker": checker}]
    assert sandbox.judge("print('3 1 2')", cases).verdict == "accepted"
    wrong = sandbox.judge("print('3 3 2')", cases)
    assert wrong.verdict == "wrong_answer"
    assert "permutation" in wrong.message


def test_broken_checker_is_not_the_candidates_fault(sandbox: Sandbox) -> None:
    cases = [{"expected": "1", "checker": {"type": "program", "language": "python"}}]
    result = sandbox.judge("print(1)", cases)
    assert result.verdict == "refused"
    assert "checker.code" in result.message


def test_text_that_utf8_lacks(sandbox: Sandbox) -> None:
    result = sandbox.judge("import sys\nsys.stdout.buffer.write(b'\\xff\\xfe')", [{"expected": "x"}])
    assert result.verdict == "wrong_answer"
    assert result.stdout == "\ufffd\ufffd"
