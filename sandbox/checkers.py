"""Comparing what a program printed with what was expected: pure functions of bytes, run outside every container."""

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from sandbox.job import Checker

_MISMATCH_SHOWN = 80


def check(checker: Checker, output: bytes, expected: bytes) -> str:
    """An empty string if ``output`` is right, else one sentence saying where it differs. Not for ``program``."""
    compare: dict[str, Callable[[bytes, bytes], str]] = {
        "exact": _exact,
        "lines": _lines,
        "tokens": lambda out, exp: _sequence(out.split(), exp.split(), "token"),
        "float": lambda out, exp: _floats(out.split(), exp.split(), checker.abs, checker.rel),
        "lcb": _livecodebench,
    }
    return compare[checker.type](output, expected)


def _exact(output: bytes, expected: bytes) -> str:
    if output == expected:
        return ""
    shared = next((i for i, (a, b) in enumerate(zip(output, expected, strict=False)) if a != b), None)
    at = min(len(output), len(expected)) if shared is None else shared
    return f"output differs at byte {at}: {_shown(output[at:])}, expected {_shown(expected[at:])}"


def _lines(output: bytes, expected: bytes) -> str:
    return _sequence(_without_trailing_space(output), _without_trailing_space(expected), "line")


def _without_trailing_space(text: bytes) -> list[bytes]:
    lines = [line.rstrip() for line in text.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _sequence(output: list[bytes], expected: list[bytes], unit: str) -> str:
    if output == expected:
        return ""
    for number, (got, wanted) in enumerate(zip(output, expected, strict=False), 1):
        if got != wanted:
            return f"{unit} {number} is {_shown(got)}, expected {_shown(wanted)}"
    return f"{len(output)} {unit}s, expected {len(expected)}"


def _floats(output: list[bytes], expected: list[bytes], absolute: float, relative: float) -> str:
    if len(output) != len(expected):
        return f"{len(output)} tokens, expected {len(expected)}"
    for number, (got, wanted) in enumerate(zip(output, expected, strict=True), 1):
        if got != wanted and not _close(got, wanted, absolute, relative):
            bound = f"within {absolute:g} or {relative:g} relative"
            return f"token {number} is {_shown(got)}, expected {_shown(wanted)} {bound}"
    return ""


def _close(got: bytes, wanted: bytes, absolute: float, relative: float) -> bool:
    try:
        # int() and float() accept underscores, which no judge does
        a, b = (float(text) if b"_" not in text else math.nan for text in (got, wanted))
    except (ValueError, OverflowError):
        return False
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b) and b"_" not in got
    return a == b or abs(a - b) <= max(absolute, relative * abs(b))


def _livecodebench(output: bytes, expected: bytes) -> str:
    """LiveCodeBench's ``grade_stdio``: stripped lines, each equal as text or, token by token, as decimals."""
    got, wanted = (_stripped_lines(text) for text in (output, expected))
    if len(got) != len(wanted):
        return f"{len(got)} lines, expected {len(wanted)}"
    for number, (a, b) in enumerate(zip(got, wanted, strict=True), 1):
        if a == b:
            continue
        left, right = _decimals(a), _decimals(b)
        if left is None or right is None or left != right:
            return f"line {number} is {_shown(a.encode())}, expected {_shown(b.encode())}"
    return ""


def _stripped_lines(text: bytes) -> list[str]:
    return [line.strip() for line in text.decode("utf-8", "replace").strip().split("\n")]


def _decimals(line: str) -> list[Decimal] | None:
    try:
        return [Decimal(token) for token in line.split()]
    except InvalidOperation:
        return None


def _shown(text: bytes) -> str:
    cut = text[:_MISMATCH_SHOWN].decode("utf-8", "replace")
    return repr(cut) + ("..." if len(text) > _MISMATCH_SHOWN else "")
