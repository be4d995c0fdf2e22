"""A contest as data: its problems with tests, and the official standings with the ratings before it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import UsageError


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StandingsRow(_Model):
    """One official participant: result of the contest and rating before it. Points may be negative (hacks)."""

    points: float
    penalty: float = 0.0
    rating: int


class ContestProblem(_Model):
    """One problem. ``points`` None: the contest counts solved problems and penalty minutes (ICPC style).

    ``tests``: ``{"stdin", "expected"}`` objects; ``checker``: as in a sandbox job (default: lines).
    """

    id: str
    points: float | None = None
    statement: str = ""
    tests: list[dict[str, str]] = []
    checker: dict[str, Any] | None = None
    time_s: float = 2.0
    memory_mb: int = 256


class Contest(_Model):
    """A contest. ``standings`` need not be sorted."""

    id: str
    division: str = ""
    problems: list[ContestProblem] = []
    standings: list[StandingsRow]


def _objects(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a JSONL file of contests") from error
    except ValueError as error:
        raise UsageError(
            f"{path}, line {number}: not a JSON object ({error}); the file is cut or of another kind"
        ) from error


def load_contests(path: Path) -> list[Contest]:
    """Reads a JSONL file, one :class:`Contest` a line.

    Raises:
        UsageError: The file cannot be read, a line is no contest, or an id occurs twice.
    """
    contests: dict[str, Contest] = {}
    for number, row in _objects(path):
        try:
            contest = Contest.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"{path}, line {number}: field '{place}': {first['msg']}") from error
        if contest.id in contests:
            raise UsageError(f"{path}, line {number}: contest '{contest.id}' occurs twice; keep one of them")
        contests[contest.id] = contest
    return list(contests.values())


def load_rounds(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Reads final standings, one participant a line: ``round, points, penalty, rating, delta, performance``.

    Returns:
        Rows of each round in the order of the file. ``performance`` is a number, or infinity for the winner.
    """
    rounds: dict[str, list[dict[str, Any]]] = {}
    for number, row in _objects(path):
        missing = [key for key in ("round", "points", "penalty", "rating") if key not in row]
        if missing:
            raise UsageError(
                f"{path}, line {number}: no field '{missing[0]}'; a line needs round, points, penalty, rating"
            )
        if "performance" in row:
            row["performance"] = float(row["performance"])
        rounds.setdefault(row["round"], []).append(row)
    return rounds
