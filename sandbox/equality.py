"""Whether a returned value is the expected one. Both are plain data of exact built-in types."""

import math
from typing import Any

_SHOWN = 120


def difference(got: Any, expected: Any, *, json: bool, absolute: float | None, relative: float | None) -> str:
    """An empty string if equal, else one sentence.

    Args:
        got: What the candidate returned.
        expected: What it should be.
        json: The expectation was written in JSON, which has lists only: a tuple then equals a list.
        absolute: Tolerance of floats; None: none.
        relative: Tolerance of floats relative to the expected one; None: none.
    """
    tolerance = None if absolute is None and relative is None else (absolute or 0.0, relative or 0.0)
    try:
        if _equal(got, expected, json, tolerance):
            return ""
    except RecursionError:
        return "the returned value is nested too deeply to be compared"
    return f"returned {shown(got)}, expected {shown(expected)}"


def shown(value: Any) -> str:
    """A value for a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _equal(got: Any, expected: Any, json: bool, tolerance: tuple[float, float] | None) -> bool:
    if isinstance(got, float) and isinstance(expected, float) and math.isnan(got) and math.isnan(expected):
        return True
    if tolerance and _is_number(got) and _is_number(expected):
        return _close(got, expected, tolerance)
    sequences = (list, tuple) if json else (type(expected),)
    if isinstance(expected, list | tuple):
        if not isinstance(got, sequences) or len(got) != len(expected):
            return False
        return all(_equal(a, b, json, tolerance) for a, b in zip(got, expected, strict=True))
    if isinstance(expected, dict) and isinstance(got, dict):
        if got.keys() != expected.keys():
            return False
        return all(_equal(got[key], value, json, tolerance) for key, value in expected.items())
    return bool(got == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex) and not isinstance(value, bool)


def _close(got: Any, expected: Any, tolerance: tuple[float, float]) -> bool:
    try:
        if got == expected:
            return True
        absolute, relative = tolerance
        return bool(abs(got - expected) <= max(absolute, relative * abs(expected)))
    except OverflowError:
        return False
