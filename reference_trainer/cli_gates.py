"""``ringlite train gate`` judges a run again, ``ringlite train baseline`` takes its scores as the new baseline."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import CheckFailed, UsageError, nearest

app = typer.Typer(rich_markup_mode=None, add_completion=False)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="Folder of a run of ringlite train --recipe.")]


@app.command()
def gate(
    run: RunFolder,
    stage: Annotated[str | None, typer.Argument(metavar="[STAGE]", help="Default: every finished stage.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records.")] = False,
) -> None:
    """Judge the stages of a run again and print every check; exit code 1 where one does not hold."""
    from reference_trainer.gates import STAGE_GATES
    from reference_trainer.gates.gate import red_message

    records = {}
    with _opened(run) as pipeline:
        for name in _stages(pipeline, run, stage):
            context = next(pipeline.context(item) for item in pipeline.stages if item.name == name)
            records[name] = STAGE_GATES[name].record(context)
            if not as_json:
                _print(records[name])
    if as_json:
        typer.echo(json.dumps(records, indent=2))
    red = [red_message(run / name, record) for name, record in records.items() if record["verdict"] == "red"]
    if red:
        raise CheckFailed("; ".join(red))


@app.command()
def baseline(
    run: RunFolder,
    reason: Annotated[str, typer.Option(help="Why the baseline changes; it stays in the file's history.")],
) -> None:
    """Take the held-out scores of a run as the baseline of its recipe.

    Every stage with a gate has to be judged, and all properties of its artefacts have to hold.
    """
    from reference_trainer.gates import STAGE_GATES
    from reference_trainer.gates.baseline import baseline_path, record_baseline

    with _opened(run) as pipeline:
        stages = [stage.name for stage in pipeline.stages if stage.name in STAGE_GATES]
        content = record_baseline(pipeline.recipe, run, stages, reason)
    for name, points in content["history"][-1]["points"].items():
        typer.echo(f"{name:18} {'  '.join(f'{domain} {value:.2f}' for domain, value in points.items())}")
    typer.echo(f"baseline: {baseline_path(content['name'])}")


@contextmanager
def _opened(run: Path) -> Iterator[Any]:
    """The pipeline of a run folder, which nobody else works in meanwhile."""
    import torch

    from harness.store_lock import FolderLock
    from reference_trainer.pipeline import RECIPE, Pipeline, Show
    from reference_trainer.recipe import load_recipe

    if not (run / RECIPE).is_file():
        raise UsageError(f"{run} is no run folder (it has no {RECIPE}): name the --out of ringlite train --recipe")
    recipe = load_recipe(str(run / RECIPE))
    torch.set_num_threads(recipe.threads)
    lock = FolderLock(run)
    try:
        yield Pipeline(recipe, run, {}, Show(_no_stage, lambda name: None))
    finally:
        lock.release()


@contextmanager
def _no_stage(name: str) -> Iterator[Any]:
    yield lambda done, total, note="": None


def _stages(pipeline: Any, run: Path, asked: str | None) -> list[str]:
    """Names of the stages to judge.

    Raises:
        UsageError: The asked one has no gate or is not finished, or none is.
    """
    from reference_trainer.gates import STAGE_GATES
    from reference_trainer.stages.stage import MANIFEST

    names = [stage.name for stage in pipeline.stages if stage.name in STAGE_GATES]
    if asked is not None and asked not in names:
        raise UsageError(f"no stage '{asked}' with a gate{nearest(asked, names)}; stages: {', '.join(names)}")
    finished = [name for name in names if (run / name / MANIFEST).is_file()]
    chosen = [name for name in finished if asked in (None, name)]
    if not chosen:
        what = f"stage {asked} is" if asked else "no stage with a gate is"
        raise UsageError(f"{what} not finished in {run}: run ringlite train --recipe first")
    return chosen


def _print(record: Mapping[str, Any]) -> None:
    typer.echo(f"{record['stage']}: {record['verdict']}, compared with {record['compared']}")
    for check in record["checks"]:
        value = f"{check['value']:.6g}" if isinstance(check["value"], float) else str(check["value"])
        mark = "ok " if check["ok"] else "RED"
        typer.echo(f"  {mark} {check['name']:34} {value:>14}  {check['bound']}")
        if check["detail"]:
            typer.echo(f"      {check['detail']}")
