"""What a run folder holds, for a page about it: a run may be unfinished, and a file may be damaged."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from reference_trainer.gates.record import read_record
from reference_trainer.metrics import read_rows
from reference_trainer.pipeline import RECIPE, Pipeline, Show
from reference_trainer.recipe import Recipe, load_recipe
from reference_trainer.stages import Stage
from reference_trainer.stages.stage import MANIFEST, STARTED

LARGEST = 1e100


@dataclass(frozen=True)
class StageFiles:
    """One stage of a run.

    Attributes:
        name: Of the stage.
        folder: Where it writes.
        status: ``done``, ``out of date`` (done, with other settings or inputs than there are now), ``unfinished`` or
            ``not started``.
        metrics: Rows of ``metrics.jsonl``, one a step; none for a stage without steps.
        timings: Rows of ``timings.jsonl``.
        manifest: Of a finished stage, else empty.
        gate: Record of the stage's gate (``reference_trainer.gates.record``), else empty.
        damage: What could not be read, as sentences.
    """

    name: str
    folder: Path
    status: str
    metrics: Sequence[dict[str, Any]] = ()
    timings: Sequence[dict[str, Any]] = ()
    manifest: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)
    damage: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        """Time of all steps; 0 for a stage without steps."""
        return sum(as_figure(row.get("seconds")) or 0.0 for row in self.timings)


@dataclass(frozen=True)
class RunFiles:
    """A run: its recipe, and its stages in their order."""

    folder: Path
    recipe: Recipe
    stages: Sequence[StageFiles]

    def stage(self, name: str) -> StageFiles | None:
        """A stage of the run that has been started."""
        return next((stage for stage in self.stages if stage.name == name and stage.status != "not started"), None)


def read_run(folder: Path) -> RunFiles:
    """Reads the folder of a run.

    Raises:
        UsageError: It is no folder of a training run, or its recipe is damaged.
    """
    if not (folder / RECIPE).is_file():
        raise UsageError(f"{folder} is no run of `ringlite train`: it has no {RECIPE}")
    recipe = load_recipe(str(folder / RECIPE))
    silent = Show(lambda name: nullcontext(lambda done, total, note="": None), lambda name: None)
    pipeline = Pipeline(recipe, folder, {}, silent)
    return RunFiles(folder, recipe, [_stage(pipeline, stage) for stage in pipeline.stages])


def read_object(path: Path, damage: list[str]) -> dict[str, Any]:
    """The JSON object of a file, empty where there is none; what is wrong with it goes to ``damage``."""
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        damage.append(f"{path.name} cannot be read: {error}")
        return {}
    if not isinstance(values, dict):
        damage.append(f"{path.name} holds no JSON object")
        return {}
    return values


def as_figure(value: Any) -> float | None:
    """A value of a JSON file as a number; None where it is none, or of no size that a picture could show."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LARGEST:
        return None
    return float(value)


def _stage(pipeline: Pipeline, stage: Stage) -> StageFiles:
    folder, damage = pipeline.folder / stage.name, list[str]()
    return StageFiles(
        stage.name,
        folder,
        _status(pipeline, stage, folder),
        _rows(folder / "metrics.jsonl", damage),
        _rows(folder / "timings.jsonl", damage),
        read_object(folder / MANIFEST, damage),
        _gate(folder, damage),
        damage,
    )


def _gate(folder: Path, damage: list[str]) -> dict[str, Any]:
    try:
        return read_record(folder) or {}
    except (OSError, UsageError) as error:
        damage.append(f"the gate's record does not count: {error}")
        return {}


def _status(pipeline: Pipeline, stage: Stage, folder: Path) -> str:
    if pipeline.up_to_date(stage):
        return "done"
    if (folder / MANIFEST).exists():
        return "out of date"
    return "unfinished" if (folder / STARTED).exists() else "not started"


def _rows(path: Path, damage: list[str]) -> list[dict[str, Any]]:
    try:
        rows: list[Any] = read_rows(path)
    except (OSError, UsageError) as error:
        damage.append(f"{path.name} cannot be read: {error}")
        return []
    return [row for row in rows if isinstance(row, dict) and as_figure(row.get("step")) is not None]
