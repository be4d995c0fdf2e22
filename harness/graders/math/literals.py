"""Numbers as they are written: value, digits, percent, base. Compared exactly, with no parser and no floating point.

The rules (each number is a ``Fraction``):

- exact against exact (integers, fractions, mixed numbers, repeating decimals): equal values.
- exact gold, decimal answer: equal, or 9 right digits (a relative error of at most 1e-9; 1e-12 for integers).
- decimal gold: equal, or an answer that rounds to the gold's own digits and is relatively within 3e-6.
- ``10\\%`` equals 10 and 0.1, as Math-Verify has it.
- a base subscript must be the same; base 10 is the same as none.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

RELATIVE = Fraction(3, 10**6)
NINE_DIGITS = Fraction(101, 10**11)
INTEGER_NOISE = Fraction(1, 10**12)
MAX_POWER = 5_000

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\s*\{\s*(?:\\?%|percent)\s*\}|per\s?cent|pct\.?)\s*$", re.IGNORECASE)
_DEGREE = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|\\degree|\^\s*\{?\s*\\degree\s*\}?)\s*$")
_PLAIN = re.compile(rf"({_NUMBER})")
_POWER = r"10\s*\^\s*(?:\{\s*([+-]?\s*[0-9]{1,5})\s*\}|\(([+-]?[0-9]{1,5})\)|([+-]?[0-9]{1,5}))"
_SCIENTIFIC = re.compile(rf"({_NUMBER})\s*(?:\\times|\\cdot|\*|[xX])\s*{_POWER}")
_E_NOTATION = re.compile(rf"({_NUMBER})[eE]([+-]?[0-9]{{1,5}})")
_LONE_POWER = re.compile(_POWER)
_FRACTION = re.compile(
    r"\\frac\{\s*([+-]?[0-9][0-9,]*)\s*\}\{\s*([+-]?[0-9][0-9,]*)\s*\}|\(?([0-9][0-9,]*)\)?\s*/\s*\(?([0-9][0-9,]*)\)?"
)
_MIXED = re.compile(
    r"([0-9]+)\s*(?:\\frac\{\s*([0-9]+)\s*\}\{\s*([0-9]+)\s*\}|(?<=\s)([0-9]+)\s*/\s*([0-9]+)|(?<=[0-9])-([0-9]+)/([0-9]+))"
)
_REPEATING = re.compile(
    r"([0-9]*)\.([0-9]*)(?:\\(?:overline|bar|dot)\s*\{?\s*([0-9]+)\s*\}?|\(([0-9]+)\))(?:\s*\\[lc]?dots|\.\.\.)?"
)
_ELLIPSIS = re.compile(r"([0-9]*)\.([0-9]*?)([0-9]{1,6}?)\3{2,}\s*(?:\\[lc]?dots|\.{3,}|…)")
_BASE = re.compile(
    r"([0-9A-Fa-f]+)\s*_\s*(?:\{\s*)?(?:\\text\s*\{)?\s*([0-9]{1,2}|[a-z]+)\s*\}?\s*\}?|\(([0-9A-Fa-f]+)\)_\{?\s*([0-9]{1,2}|[a-z]+)\s*\}?"
)
_BASE_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "sixteen": 16,
}  # fmt: skip
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = re.compile(rf"({_NUMBER})\s*(?:\\text\s*\{{\s*)?({'|'.join(_SCALES)})\s*\}}?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Literal:
    """A number as written.

    Attributes:
        value: What it is worth; a percentage stands for its number (10 for ``10\\%``).
        decimals: Digits after the point (negative when the last digit counts tens or more); None when exact.
        percent: Whether it is a percentage.
        base: The subscript; None for base 10. ``digits`` is then what is compared.
        digits: The digits of a number with a base, upper case, without leading zeros.
    """

    value: Fraction
    decimals: int | None = None
    percent: bool = False
    base: int | None = None
    digits: str = ""


def _decimal(text: str, power: int = 0) -> Literal | None:
    if abs(power) > MAX_POWER:
        return None
    text = text.replace(",", "")
    whole, point, part = text.partition(".")
    value = Fraction(int((whole + part) or "0"), 10 ** len(part)) * Fraction(10) ** power
    exact = not part if power == 0 else False
    return Literal(value, None if exact and not point else len(part) - power)


def _integer(text: str) -> int:
    return int(text.replace(",", ""))


def _ratio(numerator: str, denominator: str) -> Literal | None:
    below = _integer(denominator)
    return Literal(Fraction(_integer(numerator), below)) if below else None


def _repeating(match: re.Match[str]) -> Literal:
    whole, fixed, *blocks = match.groups()
    block = next(part for part in blocks if part)
    scale = 10 ** len(fixed)
    value = Fraction(int((whole + fixed) or "0"), scale) + Fraction(int(block), scale * (10 ** len(block) - 1))
    return Literal(value)


def _based(match: re.Match[str]) -> Literal | None:
    digits, base_text = (match.group(1), match.group(2)) if match.group(1) else (match.group(3), match.group(4))
    base = int(base_text) if base_text.isdigit() else _BASE_WORDS.get(base_text.lower())
    if base is None or not 2 <= base <= 36:
        return None
    digits = digits.upper().lstrip("0") or "0"
    if base == 10:
        return Literal(Fraction(int(digits))) if digits.isdigit() else None
    return Literal(Fraction(0), base=base, digits=digits)


def _magnitude(text: str) -> Literal | None:
    """Reads an unsigned number."""
    match = _PLAIN.fullmatch(text)
    if match:
        return _decimal(match.group(1))
    match = _SCIENTIFIC.fullmatch(text)
    if match:
        power = next(group for group in match.groups()[1:] if group is not None)
        return _decimal(match.group(1), int(power.replace(" ", "")))
    match = _E_NOTATION.fullmatch(text)
    if match:
        return _decimal(match.group(1), int(match.group(2)))
    match = _LONE_POWER.fullmatch(text)
    if match:
        power = int(next(group for group in match.groups() if group is not None).replace(" ", ""))
        return Literal(Fraction(10) ** power) if abs(power) <= MAX_POWER else None
    match = _FRACTION.fullmatch(text)
    if match:
        return _ratio(match.group(1) or match.group(3), match.group(2) or match.group(4))
    match = _MIXED.fullmatch(text)
    if match:
        whole, *parts = match.groups()
        above, below = (part for part in parts if part is not None)
        fraction = _ratio(above, below)
        return Literal(int(whole) + fraction.value) if fraction else None
    match = _REPEATING.fullmatch(text) or _ELLIPSIS.fullmatch(text)
    if match:
        return _repeating(match)
    match = _SCALE.fullmatch(text)
    if match:
        return _scaled(match)
    match = _BASE.fullmatch(text)
    return _based(match) if match else None


def _scaled(match: re.Match[str]) -> Literal | None:
    number = _decimal(match.group(1))
    power = _SCALES[match.group(2).lower()]
    return Literal(number.value * 10**power) if number else None


@lru_cache(maxsize=8192)
def read_literal(text: str) -> Literal | None:
    """Returns the number that a cleaned answer is, or None when it is anything else."""
    text = text.strip()
    if len(text) > 500:
        return None
    percent = _PERCENT.search(text)
    text = text[: percent.start()] if percent else text
    text = _DEGREE.sub("", text).strip()
    sign = 1
    while text[:1] in ("-", "+"):
        sign = -sign if text[0] == "-" else sign
        text = text[1:].strip()
    for opening, closing in (("(", ")"), ("{", "}")):
        if text.startswith(opening) and text.endswith(closing) and opening not in text[1:] and closing not in text[:-1]:
            text = text[1:-1].strip()
    if sign == 1 and text[:1] == "-":
        sign, text = -1, text[1:].strip()
    number = _magnitude(text)
    if number is None or (sign < 0 and number.base is not None):
        return None
    return Literal(sign * number.value, number.decimals, percent is not None, number.base, number.digits)


def close_to(gold: Fraction, answer: Fraction, bound: Fraction) -> bool:
    """Whether two values agree relatively."""
    return abs(gold - answer) <= bound * abs(gold)


def _same_value(gold: Literal, answer: Literal, value: Fraction) -> bool:
    if gold.value == value:
        return True
    if gold.decimals is None:
        if answer.decimals is None:
            return False
        return close_to(gold.value, value, INTEGER_NOISE if gold.value.denominator == 1 else NINE_DIGITS)
    unit = Fraction(10) ** -gold.decimals
    return close_to(gold.value, value, RELATIVE) and abs(gold.value - value) <= unit / 2 and _finer(gold, answer)


def _finer(gold: Literal, answer: Literal) -> bool:
    """Whether the answer has at least the gold's digits."""
    return answer.decimals is None or (gold.decimals is not None and answer.decimals >= gold.decimals)


def same_number(gold: Literal, answer: Literal) -> bool:
    """The verdict on two numbers; see the module's rules."""
    if gold.base is not None or answer.base is not None:
        return gold.base == answer.base and gold.digits == answer.digits
    values = [answer.value]
    if gold.percent != answer.percent:
        values.append(answer.value / 100 if answer.percent else answer.value * 100)
    return any(_same_value(gold, answer, value) for value in values)
