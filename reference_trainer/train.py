"""``ringlite train --recipe``: a pipeline with its gates, on a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reference_trainer.gates import GATES
from reference_trainer.pipeline import Pipeline, Show
from reference_trainer.recipe import Recipe
from reference_trainer.report import write_report
from reference_trainer.stages.stage import StepProgress
from reference_trainer.team import launched_rank


def train(
    recipe: Recipe,
    folder: Path | None = None,
    *,
    stage: str | None = None,
    until: str | None = None,
    gates: bool = True,
    plan: bool = False,
) -> Path:
    """Runs a recipe, or plans it; the HTML report is written whether or not the run comes to its end.

    Returns:
        The run folder.

    Raises:
        UsageError: Settings, stage or folder cannot be.
        CheckFailed: A gate is red.
    """
    first = launched_rank() == 0
    console = Console(stderr=True, quiet=not first)
    place = folder or Path("runs") / f"{recipe.name}-seed-{recipe.seed}"
    if plan:
        from reference_trainer.plan import print_plan

        print_plan(recipe)
        return place
    console.print(f"recipe {recipe.name}, seed {recipe.seed}, {recipe.threads} torch thread(s); run folder: {place}")
    pipeline = Pipeline(recipe, place, GATES if gates else {}, _show(console))
    try:
        pipeline.run(until=until, only=stage)
    finally:
        if first and place.is_dir():
            console.print(f"training report: {write_report(place)}")
    return place


def _show(console: Console) -> Show:
    """A bar for the stage that runs, and a line for each that is done."""

    @contextmanager
    def running(name: str) -> Iterator[StepProgress]:
        begin = time.monotonic()
        columns = (
            TextColumn("{task.description:18}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(name, total=None, note="")

            def step(done: int, total: int, note: str = "") -> None:
                progress.update(task, completed=done, total=total, note=note)

            yield step
        console.print(f"{name:18} done in {time.monotonic() - begin:.0f} s")

    return Show(running, lambda name: console.print(f"{name:18} up to date"))
