import pytest

from harness.errors import UsageError
from harness.graders import olympiad
from harness.graders.math import MathGrader


def test_terms_of_a_row() -> None:
    assert olympiad.terms({}) == {"several": False, "tolerance": None}
    assert olympiad.terms({"is_multiple_answer": True, "error": "1e-1"}) == {"several": True, "tolerance": 0.1}
    with pytest.raises(UsageError, match="error"):
        olympiad.terms({"is_multiple_answer": False, "error": "about 1"})


CASES = [
    ({"answer_type": "Numerical", "is_multiple_answer": True}, "100,$200$", "200, 100", True),
    ({"answer_type": "Numerical", "is_multiple_answer": True}, "100,200", "100", False),
    ({"answer_type": "Numerical", "is_multiple_answer": True}, "100,200", "100200", False),
    ({"answer_type": "Numerical", "unit": "km"}, "$\\frac{41}{3}$", "\\frac{41}{3} \\text{ km}", True),
    ({"answer_type": "Numerical", "unit": "%", "error": "1e-1"}, "7.1", "7.14\\%", True),
    ({"answer_type": "Numerical", "unit": "%", "error": "1e-1"}, "7.1", "\\frac{50}{7}", True),
    ({"answer_type": "Numerical", "unit": "%", "error": "1e-1"}, "7.1", "7.3", False),
    ({"answer_type": "Tuple", "is_multiple_answer": True}, "$(1,2),(2,1)$", "(2,1) \\text{ and } (1,2)", True),
    ({"answer_type": "Tuple", "is_multiple_answer": True}, "$(1,2),(2,1)$", "(1,2)", False),
    ({"answer_type": "Tuple"}, "$(1,2)$", "(2,1)", False),
    ({"answer_type": "Interval"}, "$t(0,4]$", "(0,4]", True),
    ({"answer_type": "Interval"}, "$t(0,4]$", "0<t\\le 4", True),
    ({"answer_type": "Interval"}, "$t(0,4]$", "(0,4)", False),
    ({"answer_type": "Interval"}, "$(-\\infty, 0) \\cup\\{1\\}$.", "\\{1\\} \\cup (-\\infty,0)", True),
    (
        {"answer_type": "Expression", "is_multiple_answer": True},
        "$f(x)=x,f(x)=-x$",
        "f(x)=-x \\text{ or } f(x)=x",
        True,
    ),
    ({"answer_type": "Expression", "is_multiple_answer": True}, "$f(x)=x,f(x)=-x$", "f(x)=x", False),
]


@pytest.mark.parametrize(("row", "gold", "answer", "right"), CASES)
def test_answer_types(row: dict[str, object], gold: str, answer: str, right: bool, strict: MathGrader) -> None:
    row = {"is_multiple_answer": False, **row}
    verdict = strict.grade(f"\\boxed{{{answer}}}", olympiad.golds([gold], row), **olympiad.terms(row))
    assert verdict.correct is right, verdict
