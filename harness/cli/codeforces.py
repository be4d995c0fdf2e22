"""``ringlite codeforces``: ratings from verdicts on submissions, and the bias of the formula."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Rate a model's submissions against real standings.")


def _verdicts(path: Path) -> dict[str, dict[str, list[bool]]]:
    """Reads ``{"contest", "problem", "index", "correct"}`` lines; submissions are made in the order of ``index``."""
    found: dict[str, dict[str, list[tuple[int, bool]]]] = {}
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                row = json.loads(line)
                problems = found.setdefault(str(row["contest"]), {})
                problems.setdefault(str(row["problem"]), []).append((int(row["index"]), bool(row["correct"])))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a JSONL file of verdicts") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}, line {number}: a line needs contest, problem, index and correct ({error})"
        ) from error
    return {
        contest: {problem: [correct for _, correct in sorted(given)] for problem, given in problems.items()}
        for contest, problems in found.items()
    }


@app.command()
def rate(
    contests: Annotated[Path, typer.Argument(help="JSONL, a contest a line: id, problems, standings.")],
    verdicts: Annotated[Path, typer.Argument(help="JSONL, a submission a line: contest, problem, index, correct.")],
    distribution: Annotated[
        Path | None, typer.Option(help="JSON list of ratings, or {rating: people}, for the percentile.")
    ] = None,
    orders: Annotated[int, typer.Option(min=1, help="Orders of submission to average over; 1: as given.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the orders and the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rating over contests, with a bootstrap interval over contests and the percentile."""
    from harness.codeforces import Distribution, evaluate, load_contests

    population = Distribution.load(distribution) if distribution else None
    outcome = evaluate(load_contests(contests), _verdicts(verdicts), population, orders, seed)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(outcome), indent=2))
        return
    table = Table("contest", "rated participants", "solved", "points", "penalty", "rank", "rating")
    for one in outcome.contests:
        numbers = (f"{value:.1f}" for value in (one.solved, one.points, one.penalty, one.rank, one.rating))
        table.add_row(one.contest, str(one.participants), *numbers)
    console = Console()
    console.print(table)
    for contest, reason in outcome.skipped:
        console.print(f"left out: {contest}: {reason}")
    low, high = outcome.rating_interval
    console.print(f"rating {outcome.rating:.0f} (95 % over contests: {low:.0f} to {high:.0f})")
    if population:
        low, high = outcome.percentile_interval
        console.print(f"percentile {outcome.percentile:.1f} ({low:.1f} to {high:.1f}) of {population.size} people")
    console.print(
        "The formula lies above Codeforces' own performance by some 45 to 75 points: results/codeforces_bias."
    )


@app.command()
def judge(
    contests: Annotated[Path, typer.Argument(help="JSONL, a contest a line; its problems carry tests and checker.")],
    submissions: Annotated[
        Path, typer.Argument(help="JSONL, a submission a line: contest, problem, index, code, language (default cpp).")
    ],
    out: Annotated[Path, typer.Argument(help="Where verdicts go; `rate` reads them.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Programs judged at once. Default: the usable CPUs.")
    ] = None,
) -> None:
    """Judge submissions in the sandbox."""
    from harness.codeforces import load_contests
    from harness.codeforces.judging import judge as judged
    from harness.codeforces.judging import read_submissions
    from sandbox import Sandbox

    accepted = total = 0
    with Sandbox(workers=workers) as sandbox, out.open("w", encoding="utf-8") as lines:
        for verdict in judged(read_submissions(submissions, load_contests(contests)), sandbox):
            lines.write(json.dumps(verdict) + "\n")
            lines.flush()
            accepted, total = accepted + verdict["correct"], total + 1
    typer.echo(f"{accepted} of {total} submissions accepted; verdicts: {out}")


@app.command()
def bias(
    rounds: Annotated[
        Path, typer.Argument(help="JSONL, a participant a line: round, points, penalty, rating, delta, performance.")
    ],
    sample: Annotated[
        int, typer.Option(min=2, help="Contestants of each round to rate as if they were a model.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the formula against Codeforces' own performance on real rounds."""
    from harness.codeforces import load_rounds
    from harness.codeforces.bias import measure_round

    measured = [measure_round(name, rows, sample, seed) for name, rows in load_rounds(rounds).items()]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(one) for one in measured], indent=2))
        return
    table = Table("round", "participants", "changes exact", "performances exact", "sampled", "bias: quartiles")
    for one in measured:
        table.add_row(
            one.round,
            str(one.participants),
            f"{one.changes_reproduced:.2%}",
            f"{one.performances_reproduced:.2%}",
            str(one.sampled),
            f"{one.lower:+.0f} / {one.median:+.0f} / {one.upper:+.0f}",
        )
    Console().print(table)
