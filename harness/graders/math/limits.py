"""What is refused before anything is parsed: answers whose evaluation could only hang or fill the memory."""

import re

MAX_LENGTH = 2_000
MAX_DEPTH = 40
MAX_DIGITS = 400
MAX_EXPONENT_DIGITS = 5
MAX_FACTORIAL_DIGITS = 4
MAX_LOOSE_FRACTIONS = 120

_DIGITS = re.compile(r"[0-9]{%d,}" % (MAX_DIGITS + 1))
_EXPONENT = re.compile(r"(?:\^|\*\*)[\s{(+-]*[0-9][0-9,]{%d,}" % MAX_EXPONENT_DIGITS)
_TOWER = re.compile(r"[0-9)}\]]\s*(?:\^|\*\*)[\s{(]*[0-9]+[\s)}]*!?\s*(?:\^|\*\*)")
_FACTORIAL = re.compile(
    r"[0-9]{%d,}[\s)}]*!|![\s)}\]]*!|!\s*(?:\^|\*\*)|(?:\^|\*\*)[\s{(]*[0-9]+!" % (MAX_FACTORIAL_DIGITS + 1)
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


def refusal(answer: str) -> str | None:
    """Returns why an answer is not given to the parser, or None when it may be."""
    if len(answer) > MAX_LENGTH:
        return f"the answer has {len(answer)} characters; at most {MAX_LENGTH} are compared"
    if "__" in answer:
        return "the answer contains '__', which no mathematical notation does"
    if any(
        (ord(character) < 32 and character not in "\t\n\r\f") or 0xD800 <= ord(character) < 0xE000
        for character in answer
    ):
        return "the answer contains control characters or lone surrogates"
    if _depth(answer) > MAX_DEPTH:
        return f"the answer is nested deeper than {MAX_DEPTH} brackets"
    if _DIGITS.search(answer):
        return f"the answer has a number of more than {MAX_DIGITS} digits"
    if _EXPONENT.search(answer):
        return f"the answer has an exponent of more than {MAX_EXPONENT_DIGITS} digits"
    if _TOWER.search(answer):
        return "the answer has a tower of powers"
    if _FACTORIAL.search(answer):
        return "the answer has a factorial that is too large or repeated"
    return None
