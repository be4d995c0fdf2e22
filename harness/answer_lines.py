"""Single answers as JSON lines: one object in, one verdict out; see ``ringlite grade answers`` for the format."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from harness.errors import UsageError
from harness.graders import choice
from harness.graders.math import MathGrader

MAX_LINE = 64 << 20
"""Bytes of one line; longer ones are refused, so that one line cannot fill the memory."""

KINDS = ("math", "aime", "choice")


class _Refused(Exception):
    """Why a line is not graded."""


def _parse(line: bytes, number: int) -> dict[str, Any]:
    """Reads one line of input; raises ``_Refused`` with the place, the fault and the way out."""
    if len(line) > MAX_LINE:
        raise _Refused(f"line {number} is longer than {MAX_LINE >> 20} MiB; split it")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"line {number} is not JSON ({str(error)[:120]}); write one object a line") from None
    if not isinstance(row, dict):
        raise _Refused(f"line {number} holds a JSON {type(row).__name__}; write one object a line")
    missing = [key for key in ("id", "kind", "gold", "response") if key not in row]
    if missing:
        raise _Refused(f"line {number} lacks {', '.join(missing)}; it needs id, kind, gold and response")
    return row


def known_id(line: bytes) -> Any:
    """The id of a line that is refused, where it has one."""
    if len(line) > MAX_LINE:
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row.get("id") if isinstance(row, dict) else None


def _grade_row(row: dict[str, Any], number: int, grader: MathGrader) -> dict[str, Any]:
    if row["kind"] not in KINDS:
        raise _Refused(f"line {number} has the kind {row['kind']!r:.40}; known: {', '.join(KINDS)}")
    if not isinstance(row["response"], str):
        raise _Refused(f"line {number}: the response is no text but {type(row['response']).__name__}")
    cut = row.get("truncated") is True
    try:
        if row["kind"] == "choice":
            verdict: Any = choice.grade(row["response"], row["gold"], truncated=cut)
        else:
            gold = str(row["gold"]) if type(row["gold"]) in (int, float) else row["gold"]
            verdict = grader.grade(row["response"], gold, truncated=cut, kind=row["kind"])
    except UsageError as error:
        raise _Refused(f"line {number}: {error}") from None
    result = {
        "id": row["id"],
        "correct": verdict.correct,
        "extracted": verdict.extracted,
        "status": verdict.status,
        "scorer": verdict.scorer,
    }
    return result | ({"reason": verdict.evidence.get("reason")} if verdict.status == "refused_input" else {})


def grade_line(line: bytes, number: int, grader: MathGrader) -> dict[str, Any]:
    """Grades one line of the batch format; a line that cannot be graded gets ``refused_input`` and the reason."""
    try:
        return _grade_row(_parse(line, number), number, grader)
    except _Refused as refused:
        return {
            "id": known_id(line),
            "correct": False,
            "extracted": None,
            "status": "refused_input",
            "scorer": grader.scorer,
            "reason": str(refused),
        }


def numbered_lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank; the rest of an overlong line is skipped."""
    number = 0
    while True:
        line = source.readline(MAX_LINE + 2)
        if not line:
            return
        number += 1
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = source.readline(MAX_LINE + 2) or b"\n"
        if line.strip():
            yield number, line
