"""What is refused before anything is parsed: answers whose evaluation could only hang or fill the memory.

The worker's deadline and memory limit hold for whatever passes; these limits keep the usual attacks from costing a
worker at all, and give a reason that a person can act on.
"""

import re

MAX_LENGTH = 2_000
MAX_DEPTH = 40
MAX_DIGITS = 400
MAX_EXPONENT_DIGITS = 5
MAX_EXPONENT = 10**MAX_EXPONENT_DIGITS
MAX_FACTORIAL_DIGITS = 4

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\ud800-\udfff]")
_DIGITS = re.compile(rf"[0-9]{{{MAX_DIGITS + 1},}}")
_RAISED = r"(?:\^|\*\*)[\s{(+-]*"
_EXPONENT = re.compile(rf"{_RAISED}[0-9][0-9,]{{{MAX_EXPONENT_DIGITS},}}")
_TOWER = re.compile(rf"(?=(?:(?<![0-9])|^)[0-9]+[\s)}}]*{_RAISED}([0-9]+)[\s)}}]*{_RAISED}([0-9]+))")
_HIGH_TOWER = re.compile(rf"(?:[0-9]+[\s)}}]*{_RAISED}){{3,}}")
_FACTORIAL = re.compile(
    rf"[0-9]{{{MAX_FACTORIAL_DIGITS + 1},}}[\s)}}]*!|![\s)}}\]]*!|!\s*(?:\^|\*\*)|{_RAISED}[0-9]+[\s)}}]*!"
)
_OPEN, _CLOSE = "{([", "})]"


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in _OPEN:
            depth += 1
            deepest = max(deepest, depth)
        elif character in _CLOSE:
            depth -= 1
    return deepest


def _tower(text: str) -> bool:
    """Whether powers of powers grow past the largest exponent that is allowed."""
    if _HIGH_TOWER.search(text):
        return True
    for match in _TOWER.finditer(text):
        base, exponent = int(match.group(1)), int(match.group(2))
        if base > 1 and exponent * (base.bit_length() - 1) > MAX_EXPONENT.bit_length():
            return True
    return False


def refusal(answer: str) -> str | None:
    """Returns why an answer is not given to the parser, or None when it may be."""
    if len(answer) > MAX_LENGTH:
        return f"the answer has {len(answer)} characters; at most {MAX_LENGTH} are compared"
    if "__" in answer:
        return "the answer contains '__', which no mathematical notation does"
    if _UNPRINTABLE.search(answer):
        return "the answer contains control characters or lone surrogates"
    if _depth(answer) > MAX_DEPTH:
        return f"the answer is nested deeper than {MAX_DEPTH} brackets"
    if _DIGITS.search(answer):
        return f"the answer has a number of more than {MAX_DIGITS} digits"
    if _EXPONENT.search(answer):
        return f"the answer has an exponent of more than {MAX_EXPONENT_DIGITS} digits"
    if _tower(answer):
        return "the answer has a tower of powers"
    if _FACTORIAL.search(answer):
        return "the answer has a factorial that is too large or repeated"
    return None
