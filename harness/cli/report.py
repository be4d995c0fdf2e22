"""``ringlite report``: what a run came to, again, in any of the forms that people read."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.errors import UsageError, nearest
from harness.published import DEFAULT_TARGET
from harness.report.comparison import COMPARISON, comparison_json, comparisons, labels, render_comparison, repeated_runs
from harness.report.markdown import markdown
from harness.report.model_index import model_index
from harness.report.page import render_html
from harness.report.terminal import print_table
from harness.scoring_results import Results, dumps, evaluate, write_results
from harness.types import SCHEMA_VERSION

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

FORMATS = ("html", "md", "model-index", "json")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders. Two or more: a comparison, each against the first.")],
    output: Annotated[
        str, typer.Option("--format", help="html (a page in the run folder), md, model-index or json.")
    ] = "html",
    against: Annotated[
        str, typer.Option(help="Published row: ring-lite, qwen3-8b-thinking, FILE or FILE:ROW.")
    ] = DEFAULT_TARGET,
    accept: Annotated[
        list[str] | None, typer.Option(help="Protocol field or guard whose difference is accepted, on the record.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where a comparison goes. Default: the first run folder.")] = None,
) -> None:
    """Render table, HTML page, Markdown or a hub model-index of run folders; compare two or more runs.

    Nothing is sampled or graded: samples.jsonl and grades.jsonl are read, results.json is written again.
    """
    if output not in FORMATS:
        raise UsageError(f"--format {output}: it is one of {', '.join(FORMATS)}{nearest(output, FORMATS)}")
    accepted = tuple(accept or ())
    results = [evaluate(run, against, accepted) for run in runs]
    if len(results) > 1:
        _compare(results, output, out, accepted)
        return
    if out is not None:
        raise UsageError("--out is for comparisons; a run's own page goes into its folder")
    only = results[0]
    write_results(only)
    if output == "html":
        page = render_html(only)
        print_table(only, Console())
        typer.echo(f"report:  {page}")
    else:
        typer.echo({"md": markdown, "model-index": model_index, "json": dumps}[output](only).rstrip())


def _compare(results: list[Results], output: str, out: Path | None, accepted: tuple[str, ...]) -> None:
    if output == "md":
        typer.echo("\n".join(markdown(run) for run in results).rstrip())
        return
    names, pairs = labels(results), comparisons(results, accepted)
    if output == "json":
        found = [
            comparison_json(item, name, names[0])
            for name, group in zip(names[1:], pairs, strict=True)
            for item in group
        ]
        typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "base": names[0], "comparisons": found}, indent=2))
        return
    if output != "html":
        raise UsageError(f"--format {output} takes one run; a comparison is html, md or json")
    path = out or results[0].folder / COMPARISON
    if path.is_dir():
        path = path / COMPARISON
    if not path.parent.is_dir():
        raise UsageError(f"--out {path}: there is no folder {path.parent}")
    render_comparison(results, path, accepted)
    for name, group in zip(names[1:], pairs, strict=True):
        for item in group:
            typer.echo(f"{name} against {names[0]}, {item.title}: {item.outcome}: {item.reason}")
    for title, spread in repeated_runs(results):
        told = f"per problem {spread.per_problem:.2f} times the expected spread (p = {spread.p_per_problem:.3f})"
        between = f"between run means {spread.between_runs:.2f} times (p = {spread.p_between_runs:.3f})"
        typer.echo(f"A/A over {spread.runs} runs, {title}: {told}, {between}")
    typer.echo(f"comparison: {path}")
