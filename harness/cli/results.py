"""How a run ends on the terminal: results.json, the HTML page, the table and where they are."""

from collections.abc import Sequence
from pathlib import Path

import typer


def show_results(folder: Path, against: str, accept: Sequence[str], as_json: bool) -> None:
    """Evaluates a run folder, writes its results and prints them: a table, or results.json as it is."""
    # Statistics are half of what a run would otherwise hold in memory while it samples.
    from rich.console import Console

    from harness.report.page import render_html
    from harness.report.terminal import print_table
    from harness.scoring_results import dumps, evaluate, write_results

    results = evaluate(folder, against, accept)
    written = write_results(results)
    page = render_html(results)
    if as_json:
        typer.echo(dumps(results))
        return
    print_table(results, Console())
    typer.echo(f"results: {written}")
    typer.echo(f"report:  {page}")
