"""What is special about LiveCodeBench's rows: releases, contest window, encoded private tests.

Facts: lcb_runner/benchmarks/code_generation.py and README of LiveCodeBench @ 28fef95.
"""

import base64
import datetime
import io
import json
import pickle
import re
import zlib
from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError

RELEASE_SIZES = {
    "release_v1": 400,
    "release_v2": 511,
    "release_v3": 612,
    "release_v4": 713,
    "release_v5": 880,
    "release_v6": 1055,
}


class _NoGlobals(pickle.Unpickler):
    """Loads plain values only: the payload is one string, so any global named in it is an attack."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuses whatever is asked for."""
        raise pickle.UnpicklingError(f"the payload names {module}.{name}, and a test list needs no globals")


def decode_tests(encoded: str, place: str = "private_test_cases") -> list[dict[str, Any]]:
    """Decodes a list of ``{input, output, testtype}``: plain JSON, else base64 of zlib of a pickled JSON string.

    Raises:
        UsageError: Neither, or the pickle wants anything but plain values; ``place`` names the row.
    """
    try:
        tests = json.loads(encoded)
    except ValueError:
        try:
            packed = zlib.decompress(base64.b64decode(encoded, validate=True))
            tests = json.loads(_NoGlobals(io.BytesIO(packed)).load())
        except Exception as error:
            raise UsageError(f"{place}: the encoded tests are damaged or refused: {error}") from error
    if not isinstance(tests, list) or not all(isinstance(test, dict) and "input" in test for test in tests):
        raise UsageError(f"{place}: a list of test cases was expected")
    return tests


def function_name(metadata: str | Mapping[str, Any] | None, starter_code: str) -> str | None:
    """Name of the method to call, from the row's metadata or else its starter code; None: the problem reads stdin."""
    if isinstance(metadata, str):
        metadata = json.loads(metadata) if metadata.strip() else {}
    if metadata and metadata.get("func_name"):
        return str(metadata["func_name"])
    methods = re.findall(r"def\s+(\w+)\s*\(\s*self\b", starter_code or "")
    return methods[-1] if methods else None


def parse_window(text: str) -> tuple[str, str]:
    """Reads ``2024-08-01:2025-01-31`` (or ``2024-08:2025-01``: whole months) into first and last day, both included.

    Raises:
        UsageError: Not two dates in order.
    """
    first, colon, last = text.partition(":")
    try:
        if not colon:
            raise ValueError
        start = datetime.date.fromisoformat(first if len(first) > 7 else f"{first}-01")
        end = datetime.date.fromisoformat(last) if len(last) > 7 else _month_end(last)
    except ValueError:
        raise UsageError(f"window '{text}' is not two dates such as 2024-08-01:2025-01-31") from None
    if start > end:
        raise UsageError(f"window '{text}' ends before it begins")
    return start.isoformat(), end.isoformat()


def _month_end(month: str) -> datetime.date:
    day = datetime.date.fromisoformat(f"{month}-01")
    following = day.replace(year=day.year + 1, month=1) if day.month == 12 else day.replace(month=day.month + 1)
    return following - datetime.timedelta(days=1)


def in_window(contest_date: str, window: tuple[str, str] | None) -> bool:
    """Whether a contest lies between the two days, both included."""
    if window is None:
        return True
    day = datetime.datetime.fromisoformat(contest_date).date().isoformat()
    return window[0] <= day <= window[1]
