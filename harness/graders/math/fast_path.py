"""Verdicts that need no parser: decided in the caller, before any sympy, in microseconds.

It decides on the gold and the extracted answer only, and only where Math-Verify's verdict is known:

1. Both are integers, or fractions of integers, in one of the plain notations below. Math-Verify's grammar reads each
   of them as exactly that number (``Integer`` or an unevaluated quotient of two), compares integers exactly and
   fractions by the value of their difference at 15 digits. The rule therefore decides True for equal values, and False
   for integers that differ and for fractions that differ by more than 1e-9; anything closer is left to the slow path.
2. The strings are equal: Math-Verify parses both to the same object, or fails on both and compares the strings. (A
   quotient by zero parses to ``zoo``, which equals nothing there, so a string with "/0" or "{0}" is left to the slow
   path.)
3. They are equal after Math-Verify's own ``normalize_latex``: that is the string it would parse, so rule 2 applies. It
   takes units off, so a gold that ends in words is left to the slow path, which compares units, and so is an answer
   like "5 or more".

Digits are ASCII ``[0-9]``: ``\\d`` and ``int`` accept other scripts, the grammar does not. Digit runs are bounded,
because the conversion of a long run is quadratic (and refused by ``int`` beyond 4,300 digits).
"""

import importlib.util
import re
import sys
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import ModuleType

_CLOSE = Fraction(1, 10**9)

_INTEGER = re.compile(r"([+-]?)([0-9]{1,1000}|[1-9][0-9]{0,2}(?:(?:,|\{,\}|,\\!)[0-9]{3}){1,300})")
_FRACTION = re.compile(
    r"(-?)(?:\\[dt]?frac\{(-?[0-9]{1,1000})\}\{([0-9]{1,1000})\}|\\[dt]?frac([0-9])([0-9])|([0-9]{1,1000})/([0-9]{1,1000}))"
)
_DIGITS_ONLY = re.compile(r"[^0-9]")
_ZERO_QUOTIENT = re.compile(r"/\s*0|\{\s*0|infty|nan|zoo", re.IGNORECASE)


_WORDS_AT_END = re.compile(r"\\(?:text|mbox|hbox|mathrm)|[A-Za-z]\s*$")
_RANGE_WORDS = re.compile(r"\b(?:or|least|most|more|less|than)\b")


def _load_normalization() -> ModuleType:
    """Loads Math-Verify's normaliser without its package, whose import would pull in sympy."""
    package = importlib.util.find_spec("latex2sympy2_extended")
    if package is None or package.origin is None:
        raise ImportError("latex2sympy2_extended is not installed")
    path = Path(package.origin).with_name("math_normalization.py")
    spec = importlib.util.spec_from_file_location("_ringlite_math_normalization", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


_normalization = _load_normalization()
_CONFIG = _normalization.NormalizationConfig(
    basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="none", equations=False
)


@lru_cache(maxsize=65_536)
def normalized(answer: str) -> str:
    """Returns the string that Math-Verify would give to its parser for this answer."""
    text: str = _normalization.normalize_latex(answer, config=_CONFIG)
    return text


def exact_number(text: str) -> Fraction | None:
    """Returns the value of an integer or a fraction in plain notation, else None."""
    match = _INTEGER.fullmatch(text)
    if match is not None:
        value = Fraction(int(_DIGITS_ONLY.sub("", match.group(2))))
        return -value if match.group(1) == "-" else value
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    sign, *groups = match.groups()
    numerator, denominator = (int(group) for group in groups if group is not None)
    if denominator == 0:
        return None
    value = Fraction(numerator, denominator)
    return -value if sign else value


def decide(gold: str, answer: str) -> bool | None:
    """Returns the verdict on one (gold, answer) pair, or None where only the slow path can tell."""
    gold, answer = gold.strip(), answer.strip()
    left = exact_number(gold)
    if left is not None:
        right = exact_number(answer)
        if right is not None:
            if left == right:
                return True
            if left.denominator == right.denominator == 1:
                return False
            return False if abs(left - right) > _CLOSE else None
    if not answer or len(answer) > 2_000 or _ZERO_QUOTIENT.search(answer):
        return None
    if gold == answer:
        return True
    if _WORDS_AT_END.search(gold) or _RANGE_WORDS.search(answer):
        return None
    return True if normalized(gold) == normalized(answer) else None
