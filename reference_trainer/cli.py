"""``ringlite train``: the verbs of the reference trainer."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import UsageError
from reference_trainer.cli_claims import claims
from reference_trainer.cli_gates import app as gates_app
from reference_trainer.cli_plan import app as plan_app
from reference_trainer.cli_report import report

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(plan_app)
app.add_typer(gates_app)
app.command()(claims)

Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: the usable CPUs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    recipe: Annotated[str | None, typer.Option(help="Shipped recipe (toy, ring_lite) or YAML file.")] = None,
    stage: Annotated[str | None, typer.Option(help="Run only this stage.")] = None,
    until: Annotated[str | None, typer.Option(help="Run all stages up to this one.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder. Default: runs/RECIPE-seed-SEED.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the recipe: c3po_math.steps=20; repeatable.")
    ] = None,
    gates: Annotated[
        bool, typer.Option("--gates/--no-gates", help="Judge each stage; without, nothing vouches.")
    ] = True,
    show_plan: Annotated[
        bool, typer.Option("--plan", help="Print memory, tokens, steps and hours; run nothing.")
    ] = False,
) -> None:
    """Train by a recipe: all stages of the paper in order, each behind its gate.

    The same command after an interruption, even kill -9, goes on where it ended and ends with the same weights; a stage
    whose settings and inputs have not changed is not run again. A red gate stops the run with exit code 1.
    """
    if context.invoked_subcommand is not None:
        return
    if recipe is None:
        raise UsageError("nothing to train: name a recipe, e.g. ringlite train --recipe toy; see ringlite train --help")
    from reference_trainer.recipe import load_recipe, parse_changes
    from reference_trainer.train import train

    train(load_recipe(recipe, parse_changes(change or [])), out, stage=stage, until=until, gates=gates, plan=show_plan)


app.command()(report)


@app.command()
def tasks(
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Folder for the toy data.")],
    seed: Annotated[int, typer.Option(help="Of problems and teachers; held-out sets are the same for all.")] = 0,
    train: Annotated[int, typer.Option(min=1, help="Training problems a domain.")] = 1000,
    validation: Annotated[int, typer.Option(min=1, help="Validation problems a domain.")] = 100,
    heldout: Annotated[int, typer.Option(min=1, help="Held-out problems a domain.")] = 200,
    demonstrations: Annotated[int, typer.Option(min=0, help="Responses of the teacher, over all domains.")] = 40_000,
    hasty: Annotated[float, typer.Option(min=0, max=1, help="Share of the teacher's blind guesses.")] = 0.35,
    as_json: AsJson = False,
) -> None:
    """Write toy problems, the teacher's demonstrations and the tokenizer."""
    from reference_trainer.tasks.files import write_toy

    sizes: dict[Any, int] = {"train": train, "validation": validation, "heldout": heldout}
    counts = write_toy(out, seed, sizes, demonstrations, hasty)
    if as_json:
        typer.echo(json.dumps(counts, indent=2))
        return
    for name, count in counts.items():
        typer.echo(f"{count:7} rows  {out / name}")


@app.command()
def curate(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help="Problems with answers, one JSON object a line.")],
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Result, report, and files of every phase.")],
    recipe: Annotated[Path, typer.Option("--recipe", help="YAML recipe of the curation.")],
    data: Annotated[Path | None, typer.Option("--data", help="Benchmark data; default: RINGLITE_DATA.")] = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Cleanse, deduplicate, decontaminate, verify and select problems.

    The same command after an interruption goes on where it ended; a phase whose input and settings have not changed is
    not run again.
    """
    from reference_trainer.curate import curate as run
    from reference_trainer.curate import load_recipe

    if not source.is_file():
        raise UsageError(f"the input {source} does not exist; name a file of rows")

    def show(phase: str, counts: dict[str, Any], done: bool) -> None:
        why = ", ".join(f"{reason} {count}" for reason, count in counts["dropped"].items())
        again = " (done before)" if done else ""
        typer.echo(f"{phase:20} {counts['in']:8} in {counts['kept']:8} kept  {why}{again}", err=as_json)

    report = run(source, out, load_recipe(recipe), data=data, workers=workers, progress=show)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    if report["contamination"]:
        typer.echo(f"{len(report['contamination'])} contaminated; which, and by what, is in {out / 'report.json'}")
    typer.echo(f"curated problems: {out / 'curated.jsonl'}")
