"""``ringlite verify``: is this run folder whole, and does it show what it claims?"""

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import CheckFailed, UsageError, nearest
from harness.published import DEFAULT_TARGET
from harness.scoring_checks import faults, stale, stored_results
from harness.scoring_results import evaluate

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

LEVELS = ("whole", "comparable", "reproduced")


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    require: Annotated[
        str, typer.Option(help="whole (complete, graded, results.json true), comparable or reproduced (every row).")
    ] = "whole",
    against: Annotated[
        str | None, typer.Option(help="Published row. Default: the one in results.json, else ring-lite.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Accepted differences. Default: those in results.json.")
    ] = None,
) -> None:
    """Check a run folder: everything is there and graded, and its figures follow from its samples and grades.

    With --require reproduced the exit code says whether every compared benchmark reproduces the published number: 0
    yes, 1 no. Scores are computed again from samples.jsonl and grades.jsonl; nothing is sampled or graded.
    """
    if require not in LEVELS:
        raise UsageError(f"--require {require}: it is one of {', '.join(LEVELS)}{nearest(require, LEVELS)}")
    stored = stored_results(run)
    row = against or (stored["against"]["name"] if stored else DEFAULT_TARGET)
    accepted = tuple(accept) if accept is not None else tuple(stored.get("accepted", ())) if stored else ()
    results = evaluate(run, row, accepted)
    found = faults(results)
    if stored and against is None and accept is None:
        found += stale(results, stored)
    verdicts = [(item.title, item.verdict) for item in results.rows if item.verdict]
    if require != "whole":
        if not verdicts:
            found.append(f"{results.target.title} has no number for any benchmark of this run")
        wanted = ("reproduced",) if require == "reproduced" else ("reproduced", "not reproduced", "inconclusive")
        found += [f"{title}: {v.outcome}: {v.reason}" for title, v in verdicts if v.outcome not in wanted]
    for fault in found:
        typer.echo(fault)
    if found:
        raise CheckFailed(f"{run}: {len(found)} {'fault' if len(found) == 1 else 'faults'}")
    samples = sum(item.score.samples for item in results.rows)
    typer.echo(f"{run}: {len(results.rows)} benchmarks, {samples} samples, {require}")
