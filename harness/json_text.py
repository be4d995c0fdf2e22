"""JSON of records and replies: read and written by orjson where it does the same as ``json``, else by ``json``."""

import json
from typing import Any

import orjson


def loads(data: bytes) -> Any:
    """Reads what ``json.loads`` reads, with its errors; whole numbers beyond 64 bits may become floats.

    Raises:
        ValueError, RecursionError: As ``json.loads``.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:  # not JSON, or what only ``json`` takes: NaN, a lone surrogate, a big exponent
        return json.loads(data)


def line(row: dict[str, Any]) -> bytes:
    """One line of UTF-8 with a newline at its end and no other.

    Raises:
        UnicodeEncodeError: A string is no valid Unicode.
        TypeError: A value is none of JSON's.
    """
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or a whole number beyond 64 bits
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
