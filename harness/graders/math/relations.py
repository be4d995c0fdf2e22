"""Equations, chains and residues as they are written."""

import re
from fractions import Fraction

_EQUALS = re.compile(r"(?<![<>!:\\])=(?!=)")
_APPROX = re.compile(r"\\(?:approx|simeq|sim|thickapprox|doteq)(?:eq)?(?![a-zA-Z])")
_INEQUALITY = re.compile(r"[<>]|\\(?:[lg]e(?:q|qslant)?|lt|gt|ne|neq)(?![a-zA-Z])")
_LETTER = re.compile(
    r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])|\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega|sigma|rho|delta|angle|text|mathrm|mathbf|vec|overline)"
    r"|(?<!\\)(?<![a-zA-Z])(?!sqrt|sin|cos|tan|log|ln|pi|exp)[a-zA-Z]{2,}"
)
_INTEGER = r"[-+]?[0-9]{1,40}"
_RESIDUE = re.compile(
    rf"^(?:.*\\equiv\s*)?({_INTEGER})\s*(?:\\(?:pmod|bmod|mod)|\(\s*(?:\\text\s*\{{\s*)?mod(?![a-z])\s*\}}?|(?<![a-z])mod(?![a-z]))\s*"
    rf"\{{?\s*({_INTEGER})\s*\}}?\s*\)?$"
)
_LEADING_WORDS = re.compile(r"^\\text\s*\{(?P<words>[^{}]*)\}\s*[:=]?\s*(?=[-+0-9\\(\[])")
_NEGATIVE_WORDS = re.compile(r"\b(?:not|no|never|less|more|greater|at|about|approximately|fewer)\b", re.IGNORECASE)


def residue(text: str) -> str:
    """Evaluates ``a \\bmod m`` and ``a \\pmod m`` of integers as written; returns anything else unchanged."""
    match = _RESIDUE.match(text)
    if match is None or int(match.group(2)) <= 0:
        return text
    return str(int(match.group(1)) % int(match.group(2)))


_RATIO_TERM = r"\s*[0-9]+(?:\.[0-9]+|/[0-9]+)?\s*"
_RATIO = re.compile(rf"{_RATIO_TERM}(?::{_RATIO_TERM}){{2,9}}")
_QUALIFIED = re.compile(
    r"(?:or|and)\s+(?:more|less|greater|fewer|above|below|higher|lower)\b|\bat\s+(?:least|most)\b", re.IGNORECASE
)


def ratio_terms(text: str) -> list[Fraction] | None:
    """Returns the terms of a ratio of three or more numbers (``2:3:4``), or None."""
    if _RATIO.fullmatch(text) is None:
        return None
    try:
        return [Fraction(term.replace(" ", "")) for term in text.split(":")]
    except ZeroDivisionError:
        return None


def proportional(left: list[Fraction], right: list[Fraction]) -> bool:
    """Whether two ratios are the same."""
    return len(left) == len(right) and all(a * right[0] == b * left[0] for a, b in zip(left, right, strict=True))


def is_qualified(text: str) -> bool:
    """Whether words turn a value into a range: "5 or more", "at least 5"."""
    return _QUALIFIED.search(text) is not None


def side_chain(text: str) -> list[str]:
    """Splits ``a = b = c`` into its sides.

    Words before a value (``\\text{Area: } 5``) are left off, too.
    """
    words = _LEADING_WORDS.match(text)
    if words and not _NEGATIVE_WORDS.search(words.group("words")):
        text = text[words.end() :]
    if "\\begin" in text or is_inequality(text):
        return [text]
    return [side.strip() for side in _EQUALS.split(_APPROX.sub("=", text)) if side.strip()] or [text]


def approximations(text: str) -> list[str]:
    """Splits ``2\\sqrt{2} \\approx 2.83`` into what it says exactly and what it says roughly."""
    return [part.strip() for part in _APPROX.split(text) if part.strip()] or [text]


def is_inequality(text: str) -> bool:
    """Whether a text is an inequality."""
    return _INEQUALITY.search(text) is not None


def bare_value(text: str) -> bool:
    """Whether a side of an equation has no variable in it."""
    return _LETTER.search(text) is None and any(character.isdigit() or character == "\\" for character in text)
