"""``ringlite grade answers``: single answers in, verdicts out, one JSON object a line.

In: ``{"id", "kind": "math|aime|choice", "gold", "response"}``; ``gold`` may be a list, and ``"truncated": true`` says
that the response was cut. Out, in the order of the input: ``{"id", "correct", "extracted", "status", "scorer"}``, and
``"reason"`` where the status is ``refused_input``. Nothing else ever goes on a line, so other tools may rely on it.
"""

import json
import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.answer_lines import known_id, numbered_lines
from harness.errors import UsageError, nearest
from harness.executors.executor import DEFAULT_ADDRESS, EXECUTOR_HELP, RAY_ADDRESS_HELP, Choice, Executor
from harness.executors.local import LocalExecutor
from harness.executors.work import AnswerItem, AnswerWork
from harness.graders.math import SCORERS

BATCH = 256


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
        if not number or known_id(line) != known:
            raise UsageError(
                f"{output}, line {position}, is the grade of {known!r:.60}, which {source} does not have there: "
                "name another output file"
            )


def _show_progress(done: int, last: bool = False) -> None:
    if sys.stderr.isatty() or last:
        end = "\n" if last else ""
        sys.stderr.write(f"\r{done} answers graded{end}")
        sys.stderr.flush()


def _grade_file(
    source: Path, output: Path, scorer: str, executor: Executor[AnswerItem, dict[str, Any]], show: bool
) -> tuple[int, int]:
    """Grades what is not graded yet; returns (lines graded before, lines graded now)."""
    ids = _resume(output, scorer)
    before, graded = len(ids), 0
    window: deque[Future[dict[str, Any]]] = deque()
    with source.open("rb") as lines, output.open("ab") as out:
        numbered = numbered_lines(lines)
        _skip_graded(numbered, ids, source, output)
        for verdict in _in_order(numbered, executor, window):
            out.write(json.dumps(verdict).encode("ascii") + b"\n")
            graded += 1
            if graded % BATCH == 0:
                out.flush()
                os.fsync(out.fileno())
                if show:
                    _show_progress(before + graded)
        out.flush()
        os.fsync(out.fileno())
    return before, graded


def _in_order(
    numbered: Iterator[tuple[int, bytes]], executor: Executor[AnswerItem, dict[str, Any]], window: "deque[Future[Any]]"
) -> Iterator[dict[str, Any]]:
    """Verdicts in the order of the lines, with as many lines ahead of the oldest as the executor takes."""
    for item in numbered:
        window.append(executor.submit(item))
        while window and (window[0].done() or len(window) >= executor.ahead):
            yield window.popleft().result()
    while window:
        yield window.popleft().result()


def _executor(
    chosen: Choice, scorer: str, workers: int | None
) -> AbstractContextManager[Executor[AnswerItem, dict[str, Any]]]:
    if chosen.is_ray:
        from harness.executors.ray import RayExecutor

        return closing(RayExecutor(partial(AnswerWork, scorer, None), chosen.ray_address, workers))
    workers = workers or len(os.sched_getaffinity(0))
    # One thread more than comparisons at once, so that an answer is extracted while those run.
    return closing(LocalExecutor(partial(AnswerWork, scorer, workers), workers + 1))


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
    workers: Annotated[
        int | None, typer.Option(help="Comparisons at once, with ray on each node. Default: the usable CPUs.")
    ] = None,
    executor: Annotated[str, typer.Option(help=EXECUTOR_HELP)] = "local",
    ray_address: Annotated[str, typer.Option(help=RAY_ADDRESS_HELP)] = DEFAULT_ADDRESS,
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
    if workers is not None and workers < 1:
        raise UsageError(f"the grader needs at least 1 worker, not {workers}")
    with _executor(Choice(executor, ray_address), scorer, workers) as running:
        before, graded = _grade_file(source, output, scorer, running, not quiet)
    if not quiet:
        _show_progress(before + graded, last=True)


app = typer.Typer(rich_markup_mode=None, add_completion=False)
app.command("answers")(grade_answers)
