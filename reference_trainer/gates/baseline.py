"""Recorded held-out scores of a recipe, against which later runs are judged; they change by an explicit command alone.

``<recipe>.json`` has the scores of each stage as they were last recorded, and the history of all recordings with the
reason of each. The folder is ``results/baselines`` of the source tree, or what RINGLITE_BASELINES names.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.protocol import digest, now
from harness.store import write_json
from reference_trainer.gates.record import RECORD, read_record
from reference_trainer.recipe import Recipe

SCHEMA_VERSION = 1
_SOURCE = Path(__file__).parents[2]
_SCORE_FIELDS = ("benchmark", "task", "scorer", "score", "se", "problems", "samples", "correct", "drawn")


def baseline_path(recipe: str) -> Path:
    """The file of a recipe's baseline."""
    folder = os.environ.get("RINGLITE_BASELINES")
    return (Path(folder) if folder else _SOURCE / "results" / "baselines") / f"{recipe}.json"


def read_baseline(recipe: str) -> dict[str, Any] | None:
    """The baseline of a recipe; None where none has been recorded.

    Raises:
        UsageError: The file is damaged, or was changed by hand.
    """
    path = baseline_path(recipe)
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(f"{path} is no JSON ({error}): restore it from the repository") from None
    body = {name: value for name, value in content.items() if name != "digest"}
    if content.get("schema_version") != SCHEMA_VERSION or content.get("digest") != digest(body):
        raise UsageError(
            f"{path} was changed by hand or is of another version: restore it from the repository, and change it with "
            "ringlite train baseline RUN_FOLDER --reason"
        )
    return content


def record_baseline(recipe: Recipe, run: Path, stages: list[str], reason: str) -> dict[str, Any]:
    """Takes the scores of a run's gates as the recipe's new baseline.

    Args:
        recipe: Of the run.
        run: The run folder.
        stages: Its stages with a gate.
        reason: Why; it goes into the history.

    Returns:
        The baseline as written.

    Raises:
        UsageError: No reason, a stage without a record, or one whose own checks are red. A stage that is red for its
            scores alone is taken: replacing a baseline is what that calls for.
    """
    if not reason.strip():
        raise UsageError("a baseline changes for a reason: say it with --reason")
    path = baseline_path(recipe.name)
    before = read_baseline(recipe.name)
    records = {stage: _usable(run, stage) for stage in stages}
    entry = {
        "recorded": now(),
        "reason": reason.strip(),
        "commit": _commit(),
        "settings": digest(recipe.model_dump(mode="json"))[:16],
        "seed": recipe.seed,
        "environment": next(iter(records.values()))["environment"],
    }
    scores = {
        stage: {
            domain: {name: value for name, value in score.items() if name in _SCORE_FIELDS}
            for domain, score in record["scores"].items()
        }
        for stage, record in records.items()
    }
    points = {s: {d: round(100 * row["score"], 2) for d, row in of.items()} for s, of in scores.items()}
    history = [*(before["history"] if before else ()), {**entry, "points": points}]
    body = {"schema_version": SCHEMA_VERSION, "name": recipe.name, **entry, "stages": scores, "history": history}
    content: dict[str, Any] = json.loads(json.dumps(body))
    content["digest"] = digest(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content)
    return content


def _usable(run: Path, stage: str) -> dict[str, Any]:
    """The record of a stage whose properties hold and that has scores."""
    record = read_record(run / stage)
    if record is None:
        raise UsageError(f"{run / stage} has no {RECORD}: judge it first with ringlite train gate {run}")
    red = [check["name"] for check in record["checks"] if not check["ok"] and not is_of_scores(check["name"])]
    if red:
        raise UsageError(f"stage {stage} of {run} is no baseline, because its gate is red: {', '.join(red)}")
    if not record["scores"]:
        raise UsageError(f"the gate of stage {stage} of {run} has no scores: judge it again with ringlite train gate")
    return record


def is_of_scores(check: str) -> bool:
    """Whether a check compares scores, and is not a property of the stage's artefacts."""
    return check.startswith("scores.")


def _commit() -> str | None:
    """Commit of the source tree, ``+changes`` where it differs; None where it is no repository."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(_SOURCE), *arguments], capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "reference_trainer", "harness", "sandbox")
    return f"{commit}+changes" if commit and changed else commit or None


def for_stage(recipe: str, stage: str) -> Mapping[str, Any] | None:
    """What a gate compares a stage with: ``path``, ``digest``, who recorded it when and why, and ``scores``."""
    content = read_baseline(recipe)
    scores = content["stages"].get(stage) if content else None
    if content is None or not scores:
        return None
    return {
        "path": baseline_path(recipe).name,
        "digest": digest(scores),
        **{name: content[name] for name in ("commit", "recorded", "reason")},
        "scores": scores,
    }
