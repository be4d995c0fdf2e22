"""Two expressions: parsed by Math-Verify, compared as numbers where they are numbers, else by Math-Verify.

Math-Verify rounds to 6 decimals, so 6.63e-34 equals 1.6e-19 there, and evaluates differences at 15 digits, so two
numbers that agree that far are equal. Here numbers are evaluated to 40 digits and compared relatively.
"""

import re
from functools import lru_cache
from typing import Any

from math_verify import parse, verify
from math_verify.parser import LatexExtractionConfig
from sympy import (
    Basic,
    Expr,
    Float,
    I,
    Intersection,
    MatrixBase,
    Rational,
    Set,
    Symbol,
    Tuple,
    UnevaluatedExpr,
    Union,
    log,
)
from sympy.core.relational import Relational

from harness.graders.math.fast_path import normalized

DIGITS = 40
_MAX_MAGNITUDE = 2_000
_EXACT = 1e-25
_NOTHING = 1e-60  # what is left of an exact zero after evaluation
_APART = 1e-3
_NINE = 1.01e-9
_GIVEN = 3e-6
_LATEX_ONLY = (LatexExtractionConfig(),)
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_DEGREES = re.compile(r"\{?\(?([0-9]+(?:\.[0-9]+)?)\s*\^\s*\{?\s*\\circ\s*\}?\)?\}?")
_POINTS = (
    (Rational(137, 100), Rational(271, 113), Rational(53, 71), Rational(311, 97), Rational(89, 41), Rational(29, 83)),
    (
        Rational(613, 31),
        Rational(997, 89),
        Rational(1373, 59),
        Rational(761, 47),
        Rational(911, 67),
        Rational(1051, 73),
    ),
    (Rational(-83, 71), Rational(-47, 59), Rational(29, 37), Rational(-131, 89), Rational(101, 61), Rational(-17, 23)),
)
_POSITIVE = 2


@lru_cache(maxsize=4096)
def parse_expression(answer: str) -> Any:
    """Returns the sympy object of a cleaned answer, or None when the grammar does not know it."""
    if _TRIGONOMETRIC.search(answer):
        answer = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", answer)
    found = parse(f"\\boxed{{{answer}}}", _LATEX_ONLY, parsing_timeout=None)
    value = found[0] if found and isinstance(found[0], Basic | MatrixBase) else None
    if isinstance(value, Expr):
        # A lone i is a symbol to the parser (real or not by the spaces around it).
        value = value.subs({symbol: I for symbol in value.free_symbols if symbol.name == "i"})
    return value


def _math_verify(gold: Any, answer: Any) -> bool:
    return bool(verify([gold], [answer], timeout_seconds=None, allow_set_relation_comp=True))


def _is_expression(value: Any) -> bool:
    return (
        isinstance(value, Expr)
        and not isinstance(value, Relational | Set | Tuple | MatrixBase)
        and not value.has(UnevaluatedExpr)
    )


def _number(value: Expr, digits: int = DIGITS) -> Any:
    number = value.evalf(digits)
    return number if number.is_number and number.is_finite is not False and not number.has(Symbol) else None


def _relative(left: Any, right: Any) -> float:
    difference = abs((left - right).evalf(DIGITS))
    scale = max(abs(left), abs(right))
    if scale < _NOTHING:
        return 0.0
    return float(difference / scale)


def _same_exact(gold: Expr, answer: Expr, left: Any, right: Any) -> bool:
    """Compares two exact numbers; large ones with digits enough to tell neighbouring integers apart."""
    if gold.is_Rational and answer.is_Rational:
        return bool(gold == answer)
    distance = _relative(left, right)
    if distance > _EXACT:
        return False
    magnitude = int(log(max(abs(left), abs(right), 1), 10).evalf(5))
    if magnitude < 10:
        return True
    digits = min(magnitude, _MAX_MAGNITUDE) + DIGITS
    left, right = _number(gold, digits), _number(answer, digits)
    return bool(abs(left - right) < Rational(1, 10**10)) if magnitude <= _MAX_MAGNITUDE else distance == 0


def _same_numbers(gold: Expr, answer: Expr) -> bool | None:
    """The verdict on two expressions without variables; None when one of them has no value."""
    left, right = _number(gold), _number(answer)
    # Numeric evaluation of an integral or a sum is quick where its symbolic one may never end.
    if left is not None and right is not None and _relative(left, right) > _APART:
        return False
    gold, answer = gold.doit(), answer.doit()
    left, right = _number(gold), _number(answer)
    if left is None or right is None:
        return None
    if gold.has(Float):
        return _relative(left, right) <= _GIVEN and _math_verify(gold, answer)
    if answer.has(Float):
        return _relative(left, right) <= _NINE
    return _same_exact(gold, answer, left, right)


def _value_at(value: Expr, point: dict[str, Rational]) -> Any:
    return _number(value.subs({symbol: point[symbol.name] for symbol in value.free_symbols}).doit())


def _agreement(gold: Expr, answer: Expr, point: dict[str, Rational]) -> float | None:
    """The relative distance at one point; None where one of the two has no value."""
    left, right = _value_at(gold, point), _value_at(answer, point)
    if left is None or right is None:
        return None
    if any(value < 0 for value in point.values()) and not (left.is_real and right.is_real):
        return 0.0  # outside the domain that the positive points are in
    return _relative(left, right)


def _sampled(gold: Expr, answer: Expr) -> bool | None:
    """Compares two expressions with variables at fixed points; None where that does not decide."""
    names = sorted({symbol.name for value in (gold, answer) for symbol in value.free_symbols})
    if len(names) > len(_POINTS[0]):
        return None
    distances: list[float | None] = []
    for values in _POINTS:
        distance = _agreement(gold, answer, dict(zip(names, values, strict=False)))
        if distance is not None and distance > _APART and len(distances) < _POSITIVE:
            return False
        distances.append(distance)
    if gold.has(Float) or answer.has(Float) or None in distances:
        return None
    if any(distance > _EXACT for distance in distances[:_POSITIVE] if distance is not None):
        return False
    return True if all(distance is not None and distance <= _EXACT for distance in distances) else None


def same_expression(gold_text: str, answer_text: str) -> bool:
    """The verdict on two cleaned answers that are no plain numbers."""
    gold, answer = parse_expression(gold_text), parse_expression(answer_text)
    if gold is None or answer is None:
        return _bare(gold_text) == _bare(answer_text)
    if (
        _is_expression(gold)
        and _is_expression(answer)
        and not isinstance(gold, Symbol)
        and not isinstance(answer, Symbol)
    ):
        try:
            verdict = (
                _sampled(gold, answer) if gold.free_symbols or answer.free_symbols else _same_numbers(gold, answer)
            )
        except (TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError):
            verdict = None
        if verdict is not None:
            return verdict
    if isinstance(answer, Relational) and not answer.free_symbols:
        return False
    return _math_verify(gold, answer)


def _bare(text: str) -> str:
    return normalized(text).replace(" ", "")


def same_relation_sets(gold_text: str, items: list[str], either: bool) -> bool:
    """Whether inequalities, joined by "or" (``either``) or "and", describe the gold's set."""
    gold = parse_expression(gold_text)
    relations = [parse_expression(item) for item in items]
    if gold is None or any(relation is None for relation in relations):
        return False
    try:
        sets = [relation.as_set() for relation in relations]
        target = gold if isinstance(gold, Set) else gold.as_set()
        return bool((Union if either else Intersection)(*sets) == target)
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return False


def within(gold_text: str, answer_text: str, tolerance: float) -> bool:
    """Whether two answers are real numbers that differ by at most ``tolerance``."""
    values = [parse_expression(text) for text in (gold_text, answer_text)]
    if not all(isinstance(value, Expr) and not value.free_symbols for value in values):
        return False
    numbers = [_number(value) for value in values]
    if any(number is None or not number.is_real for number in numbers):
        return False
    return bool(abs(numbers[0] - numbers[1]) <= Rational(str(tolerance)) + Rational(1, 10**12))
