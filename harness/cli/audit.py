"""``ringlite audit``: can the printed numbers of a table be means of so many samples?"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.audit import MOST_SAMPLES, audit
from harness.errors import CheckFailed, UsageError
from harness.published import paper_files
from harness.published_table import load_tables
from harness.report.audit_text import audit_json, audit_markdown, print_audit

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

FORMATS = ("table", "markdown", "json")


@app.command()
def audit_tables(
    file: Annotated[
        Path | None,
        typer.Argument(help="Table file: YAML, JSON, CSV, TSV or Markdown. Default: the paper's Tables 1 to 4."),
    ] = None,
    problems: Annotated[
        list[str] | None, typer.Option(help="COLUMN=P: problems behind a column; may be given several times.")
    ] = None,
    samples: Annotated[
        list[str] | None, typer.Option(help="COLUMN=M: samples a problem to hold a column against.")
    ] = None,
    most_samples: Annotated[int, typer.Option(min=1, max=4096, help="Every m from 1 to here is tried.")] = MOST_SAMPLES,
    output: Annotated[str, typer.Option("--format", help="table, markdown or json.")] = "table",
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 when anything is inconsistent.")] = False,
) -> None:
    """Check every number of a table file: granularity, averages, differences and bold marks.

    A mean of N = P x m right-or-wrong samples can only be k/N, so only some figures can be printed. For each column:
    how many cells fit, under which rounding, which m fit all cells, and the chance that random figures would.

    A table file is YAML: `tables: {NAME: {columns: [aime24, average], rows: {MODEL: [76.61, 76.61]}}}`; optional
    `columns: {aime24: {problems: 30, samples: 64}}`, `averages: [{column: average, over: [aime24]}]`,
    `differences: [{column: gain, of: tuned, minus: base}]`, per row `{values: [...], quoted: [...], bold: [...]}`. A
    heading `aime24@32` claims 32 samples. In CSV and Markdown the first line is the heading, the first column the row
    names, `**52.10**` is bold, a star behind a figure means quoted. Problems of known benchmarks need not be given.
    """
    if output not in FORMATS:
        raise UsageError(f"--format {output}: it is one of {', '.join(FORMATS)}")
    tables = load_tables(file or paper_files()[0])
    result = audit(tables, _pairs(problems, "--problems"), _pairs(samples, "--samples"), most_samples)
    if output == "json":
        typer.echo(json.dumps(audit_json(result), indent=2))
    elif output == "markdown":
        options = [f"--problems {pair}" for pair in problems or ()] + [f"--samples {pair}" for pair in samples or ()]
        words = ["ringlite audit", *([file.name] if file else []), *options, "--format markdown"]
        typer.echo(audit_markdown(result, " ".join(words)), nl=False)
    else:
        print_audit(result, Console())
    if check and result.inconsistent:
        raise CheckFailed(f"{result.inconsistent} findings are inconsistent with what the file says")


def _pairs(texts: list[str] | None, option: str) -> dict[str, int]:
    found = {}
    for text in texts or ():
        name, _, number = text.rpartition("=")
        if not name or not number.isdigit() or int(number) < 1:
            raise UsageError(f"{option} {text}: write COLUMN=NUMBER, for example aime24=30")
        found[name] = int(number)
    return found
