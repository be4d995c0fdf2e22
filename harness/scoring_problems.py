"""problems.jsonl of a run folder: what was asked, so that tables and reports need neither the data nor the model.

A row: schema_version, task, benchmark, id, prompt, gold, metadata (as JSON text, so that all rows have one type).
``prompt`` and ``gold`` are null for benchmarks whose authors ask that no plain text be passed on (gated data sets).
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.card import Card
from harness.errors import UsageError
from harness.types import SCHEMA_VERSION, Problem

PROBLEMS = "problems.jsonl"
MOST_GOLD = 2000


@dataclass(frozen=True, slots=True)
class AskedProblem:
    """One problem as it was asked: ``Problem`` without tests and programs."""

    task: str
    id: str
    prompt: str | None
    gold: str | None
    metadata: dict[str, Any]


def is_protected(card: Card) -> bool:
    """Whether the benchmark's text must not be passed on in plain."""
    return any(hub.gated for hub in card.hub)


def write_problems(folder: Path, task: str, card: Card, problems: Iterable[Problem]) -> None:
    """Writes the problems of a task into the run folder, in one step; rows of other tasks are kept."""
    kept = [row for row in _rows(folder) if row["task"] != task]
    hidden = is_protected(card)
    for problem in problems:
        gold = problem.gold
        text = " | ".join(map(str, gold)) if isinstance(gold, list | tuple) else gold if isinstance(gold, str) else None
        kept.append(
            {
                "schema_version": SCHEMA_VERSION,
                "task": task,
                "benchmark": card.name,
                "id": problem.id,
                "prompt": None if hidden else problem.prompt or problem.prefix,
                "gold": None if hidden or text is None else text[:MOST_GOLD],
                "metadata": json.dumps(problem.metadata, default=str),
            }
        )
    scratch = folder / f".{PROBLEMS}.{os.getpid()}"
    with scratch.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, default=str) + "\n" for row in kept)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(folder / PROBLEMS)


def read_problems(folder: Path) -> dict[str, list[AskedProblem]]:
    """Returns task -> problems in the order in which they were asked; empty where the folder has no such file."""
    found: dict[str, list[AskedProblem]] = {}
    for row in _rows(folder):
        problem = AskedProblem(row["task"], row["id"], row["prompt"], row["gold"], json.loads(row["metadata"]))
        found.setdefault(problem.task, []).append(problem)
    return found


def _rows(folder: Path) -> Sequence[dict[str, Any]]:
    path = folder / PROBLEMS
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            if row["schema_version"] != SCHEMA_VERSION or not {"task", "id", "prompt", "gold", "metadata"} <= set(row):
                raise KeyError("schema_version")
            if not isinstance(json.loads(row["metadata"]), dict):
                raise TypeError("metadata")
        except (ValueError, KeyError, TypeError):
            raise UsageError(
                f"{path}, line {number}, is not a problem of a run; delete the file to go without"
            ) from None
        rows.append(row)
    return rows
