"""``ringlite grade answers``: single answers in, verdicts out, one JSON object a line.

In: ``{"id", "kind": "math|aime|choice", "gold", "response"}``; ``gold`` may be a list, and ``"truncated": true`` says
that the response was cut. Out, in the order of the input: ``{"id", "correct", "extracted", "status", "scorer"}``, and
``"reason"`` where the status is ``refused_input``. Nothing else ever goes on a line, so other tools may rely on it.
"""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from harness.errors import UsageError, nearest
from harness.graders import choice
from harness.graders.math import SCORERS, MathGrader

BATCH = 256
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


def _known_id(line: bytes) -> Any:
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
            "id": _known_id(line),
            "correct": False,
            "extracted": None,
            "status": "refused_input",
            "scorer": grader.scorer,
            "reason": str(refused),
        }


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
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


def _resume(path: Path, scorer: str) -> list[Any]:
    """Cuts a torn last line off and returns the ids of the whole lines that are there.

    Raises:
        UsageError: The file is something else, or was written by another scorer.
    """
    ids: list[Any] = []
    if not path.exists():
        return ids
    end = 0
    with path.open("rb") as finished:
        for line in finished:
            if not line.endswith(b"\n"):
                break
            place = f"{path}, line {len(ids) + 1},"
            try:
                row = json.loads(line)
                known = {"id", "correct", "extracted", "status", "scorer"} <= row.keys()
            except (ValueError, AttributeError):
                known = False
            if not known:
                raise UsageError(f"{place} is not a grade of this command: name another output file")
            if row["scorer"] not in (scorer, "choice"):
                raise UsageError(f"{place} was graded by {row['scorer']}, not {scorer}: name another output file")
            ids.append(row["id"])
            end += len(line)
    os.truncate(path, end)
    return ids


def _skip_graded(numbered: Iterator[tuple[int, bytes]], ids: list[Any], source: Path, output: Path) -> None:
    """Passes over the lines that are graded; raises UsageError when they are not those of the output file."""
    for position, known in enumerate(ids, 1):
        number, line = next(numbered, (0, b""))
        if not number or _known_id(line) != known:
            raise UsageError(
                f"{output}, line {position}, is the grade of {known!r:.60}, which {source} does not have there: "
                "name another output file"
            )


def _show_progress(done: int, last: bool = False) -> None:
    if sys.stderr.isatty() or last:
        end = "\n" if last else ""
        sys.stderr.write(f"\r{done} answers graded{end}")
        sys.stderr.flush()


def _grade_file(source: Path, output: Path, grader: MathGrader, show: bool) -> tuple[int, int]:
    """Grades what is not graded yet; returns (lines graded before, lines graded now)."""
    from concurrent.futures import ThreadPoolExecutor

    ids = _resume(output, grader.scorer)
    before, graded = len(ids), 0
    with source.open("rb") as lines, output.open("ab") as out, ThreadPoolExecutor(grader.workers + 1) as threads:
        numbered = _lines(lines)
        _skip_graded(numbered, ids, source, output)
        while batch := list(islice(numbered, BATCH)):
            for verdict in threads.map(lambda item: grade_line(item[1], item[0], grader), batch):
                out.write(json.dumps(verdict).encode("ascii") + b"\n")
            out.flush()
            os.fsync(out.fileno())
            graded += len(batch)
            if show:
                _show_progress(before + graded)
    return before, graded


def grade_answers(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN.jsonl", help="One object a line: id, kind (math, aime, choice), gold, response."),
    ],
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT.jsonl", help="Verdicts in the same order. A partial file is continued."),
    ],
    scorer: Annotated[str, typer.Option(help="strict, or math-verify as published numbers have it.")] = "strict",
    workers: Annotated[int | None, typer.Option(help="Comparisons at once. Default: the usable CPUs.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Grade single answers: mathematics, AIME integers and multiple-choice letters."""
    if not source.is_file():
        raise UsageError(f"{source} does not exist; name a file with one JSON object a line")
    if output.exists() and source.samefile(output):
        raise UsageError(f"{output} is the input itself; name another output file")
    if scorer not in SCORERS:
        raise UsageError(f"unknown scorer '{scorer}'{nearest(scorer, SCORERS)}; known: {', '.join(SCORERS)}")
    if not output.parent.is_dir():
        raise UsageError(f"the folder {output.parent} does not exist; make it first")
    with MathGrader("math-verify" if scorer == "math-verify" else "strict", workers) as grader:
        before, graded = _grade_file(source, output, grader, not quiet)
    if not quiet:
        _show_progress(before + graded, last=True)


app = typer.Typer(rich_markup_mode=None, add_completion=False)
app.command("answers")(grade_answers)
