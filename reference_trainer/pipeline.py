"""Runs the stages of a recipe in order, each behind its gate; skips what is up to date, goes on after a kill."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from harness.errors import UsageError, nearest
from harness.store_lock import FolderLock
from reference_trainer.recipe import Recipe
from reference_trainer.stages import STAGES, Stage, StageRun, is_done, run_stage, stage_key, stages_of
from reference_trainer.stages.stage import StepProgress
from reference_trainer.team import Team, launched_team

RECIPE = "recipe.yaml"

Gate = Callable[[StageRun], Any]
"""Judges a finished stage and writes its record; raises ``CheckFailed`` where it is red."""


@dataclass(frozen=True)
class Show:
    """How a pipeline tells where it is.

    Attributes:
        stage: Context of a stage that runs; yields what is told after each step.
        skipped: Told the name of a stage that is up to date.
    """

    stage: Callable[[str], AbstractContextManager[StepProgress]]
    skipped: Callable[[str], None]


class Pipeline:
    """One run of a recipe.

    Args:
        recipe: What to do.
        folder: The run's folder.
        gates: Stage name -> gate; a stage without one passes.
        show: Progress.
    """

    def __init__(self, recipe: Recipe, folder: Path, gates: dict[str, Gate], show: Show):
        self.recipe, self.folder, self.gates, self.show = recipe, folder, gates, show
        self.stages = stages_of(recipe)
        self.team = Team()

    def run(self, until: str | None = None, only: str | None = None) -> None:
        """Runs all stages, those up to ``until``, or ``only`` one; a stage that is up to date is not run again.

        Raises:
            UsageError: An unknown stage, or the folder is another recipe's.
            CheckFailed: A gate is red; what was done stays, and the same command goes on from there.
        """
        chosen = self._chosen(until, only)
        torch.set_num_threads(self.recipe.threads)
        self.team = launched_team(self.recipe.engine)
        if self.team.rank > 0:
            self._work(chosen)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(self.folder)
        try:
            self._write_recipe()
            self._work(chosen)
        finally:
            lock.release()

    def _work(self, stages: list[Stage]) -> None:
        for stage in stages:
            self._run_one(stage)

    def up_to_date(self, stage: Stage) -> bool:
        """Whether the stage is finished with the inputs and settings that there are now."""
        context = self.context(stage)
        try:
            return is_done(context.folder, stage_key(stage, context, self.needs(stage)))
        except UsageError:
            return False

    def needs(self, stage: Stage) -> list[str]:
        """The stages that this one reads and the recipe has."""
        present = {other.name for other in self.stages}
        return [name for name in stage.needs if name in present]

    def context(self, stage: Stage, progress: StepProgress | None = None) -> StageRun:
        """The stage's place in this run."""
        told = progress or (lambda done, total, note="": None)
        return StageRun(stage.name, self.recipe, self.folder, told, self.team)

    def _run_one(self, stage: Stage) -> None:
        if self.team.first(lambda: self.up_to_date(stage)):
            self.show.skipped(stage.name)
        else:
            with self.show.stage(stage.name) as progress:
                run_stage(stage, self.context(stage, progress), self.needs(stage))
        gate = self.gates.get(stage.name)
        if gate is not None:
            self.team.first(partial(self._judge, gate, stage))

    def _judge(self, gate: Gate, stage: Stage) -> None:
        gate(self.context(stage))

    def _chosen(self, until: str | None, only: str | None) -> list[Stage]:
        names = [stage.name for stage in self.stages]
        for name in (until, only):
            if name is not None and name not in names:
                known = [stage.name for stage in STAGES]
                reason = f"recipe '{self.recipe.name}' leaves it out" if name in known else f"{nearest(name, names)}"
                raise UsageError(f"no stage '{name}' to run {reason}; stages: {', '.join(names)}".replace(" ;", ";"))
        if only is not None:
            return [stage for stage in self.stages if stage.name == only]
        return self.stages[: names.index(until) + 1] if until is not None else self.stages

    def _write_recipe(self) -> None:
        path = self.folder / RECIPE
        content = self.recipe.model_dump(mode="json")
        if path.exists():
            name = yaml.safe_load(path.read_text(encoding="utf-8")).get("name")
            if name != self.recipe.name:
                raise UsageError(f"{self.folder} holds a run of recipe '{name}': name another folder with --out")
        partial = path.with_suffix(".partial")
        partial.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        partial.replace(path)
