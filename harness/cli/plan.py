"""``ringlite plan``: what a run will cost and what it can decide; looks at a run that may stop early."""

import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.card import Card, card_names, load_card
from harness.errors import UsageError, nearest
from harness.plan import Assumptions, LengthSource, Plan, VarianceSource, assumed_variance, follow, plan
from harness.plan_file import load_plan, plan_json
from harness.published import DEFAULT_TARGET, Published, find_target
from harness.scoring_results import Results, Row, evaluate
from harness.statistics.sequential import Spending
from harness.store import SAMPLES, write_json

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

SPENDINGS: dict[str, Spending] = {"obrien-fleming": "obrien-fleming", "pocock": "pocock"}


@app.command()
def plan_run(
    benchmarks: Annotated[
        str | None, typer.Option(help="Names with commas between. Default: all that the target has numbers for.")
    ] = None,
    against: Annotated[str, typer.Option(help="Published row to reproduce.")] = DEFAULT_TARGET,
    n: Annotated[int | None, typer.Option("-n", min=1, help="Samples a problem. Default: as many as decide.")] = None,
    margin: Annotated[float | None, typer.Option(help="Margin in points. Default: the card's.")] = None,
    variance: Annotated[
        float | None, typer.Option(help="v, mean p(1-p) within problems, at most 0.25. Default: measured or assumed.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder: a pilot to measure v and lengths in, or the run to --follow.")
    ] = None,
    tokens: Annotated[
        float | None, typer.Option(min=1, help="Generated tokens a sample. Default: the pilot's.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Generated tokens a second, of the whole machine. Default: the pilot's.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of the machine.")] = 1,
    looks: Annotated[int, typer.Option(min=1, max=20, help="Looks at the growing run; it may stop at each.")] = 1,
    spending: Annotated[str, typer.Option(help="obrien-fleming (late) or pocock (even).")] = "obrien-fleming",
    out: Annotated[Path | None, typer.Option(help="Write the plan, with its looks, to this file.")] = None,
    follow_plan: Annotated[
        Path | None, typer.Option("--follow", help="Plan file: say whether the run of --run may stop now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Tell before a run what it costs and what it can decide: samples, tokens, GPU hours, smallest difference.

    With --looks 4 the run may be judged at four fixed sizes and stopped as soon as it is decided, with the error rates
    of a single look: `ringlite plan --looks 4 --out plan.json`, `ringlite score -n N ...` up to the first size, then
    `ringlite plan --follow plan.json --run RUN`.
    """
    if rate is not None and rate <= 0:
        raise UsageError(f"--rate {rate:g}: tokens a second must be above 0")
    if variance is not None and not 0 < variance <= 0.25:
        raise UsageError(f"--variance {variance:g}: v is a mean of p(1 - p), above 0 and at most 0.25")
    if margin is not None and margin <= 0:
        raise UsageError(f"--margin {margin:g}: it must be above 0")
    if spending not in SPENDINGS:
        raise UsageError(f"--spending {spending}: it is one of {', '.join(SPENDINGS)}{nearest(spending, SPENDINGS)}")
    if follow_plan is not None:
        if run is None:
            raise UsageError("--follow needs the run to look at: --run RUN")
        _follow(follow_plan, run, as_json)
        return
    target = find_target(against)
    pilot = evaluate(run, against) if run else None
    if rate is None and pilot is not None:
        rate = measured_rate(pilot)
    plans = []
    for name in _names(benchmarks, target.scores):
        card, published = load_card(name), target.scores.get(name)
        if published is None:
            raise UsageError(f"{target.title} has no score of {name}; it has {', '.join(target.scores)}")
        given = _assumptions(card, published, pilot, variance, tokens, rate, gpus)
        plans.append(plan(card, published, given, samples=n, margin=margin, looks=looks, spending=SPENDINGS[spending]))
    content = plan_json(plans, against)
    if out:
        write_json(out, content)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    console = Console()
    _print(plans, console)
    if out:
        typer.echo(f"plan: {out}")


def _names(benchmarks: str | None, scores: Mapping[str, Published]) -> list[str]:
    known = card_names()
    if benchmarks is None:
        return [name for name in scores if name in known]
    names = [name.strip() for name in benchmarks.split(",") if name.strip()]
    if not names:
        raise UsageError("--benchmarks names none; give them with commas between, e.g. aime24,math500")
    return names


def _assumptions(
    card: Card,
    published: Published,
    pilot: Results | None,
    variance: float | None,
    tokens: float | None,
    rate: float | None,
    gpus: int,
) -> Assumptions:
    row: Row | None = next((row for row in pilot.rows if row.score.benchmark == card.name), None) if pilot else None
    score = row.score if row and row.score.problems else None
    cap = card.protocol.max_tokens
    source: VarianceSource = "assumed"
    v = assumed_variance(published)
    if score is not None and score.fewest >= 2:
        v, source = 1e4 * score.variance, "measured"
    if variance is not None:
        v, source = 1e4 * variance, "given"
    length_source: LengthSource = "cap"
    length = float(cap) if cap else None
    if score is not None and not math.isnan(score.tokens.mean):
        length, length_source = score.tokens.mean, "measured"
    if tokens is not None:
        length, length_source = tokens, "given"
    return Assumptions(v, source, length, length_source, rate, gpus)


def measured_rate(pilot: Results) -> float | None:
    """Tokens a second of a pilot run, from its start to its last sample; None after more than one session."""
    sessions = pilot.manifest.get("sessions", [])
    if len(sessions) != 1:
        return None
    started = datetime.datetime.fromisoformat(sessions[0]["started"]).timestamp()
    seconds = (pilot.folder / SAMPLES).stat().st_mtime - started
    total = sum(row.score.tokens.total for row in pilot.rows)
    return total / seconds if seconds > 0 and total else None


def _print(plans: list[Plan], console: Console) -> None:
    wide = console.width >= 100
    table = Table(title="Plan (points; power 90 %)", title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    table.add_column("benchmark", min_width=13)
    figures = ("margin", "needed", "n", "decides", *(("sees",) if wide else ()), "samples", "Mtokens", "GPU h")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for item in plans:
        table.add_row(
            escape(item.title),
            f"{item.margin:g}",
            "never" if math.isinf(item.needed) else f"{item.needed:.0f}",
            str(item.samples or "-"),
            _figure(item.decidable_margin),
            *((_figure(item.visible),) if wide else ()),
            f"{item.total:,}",
            "-" if item.tokens is None else f"{item.tokens / 1e6:,.1f}",
            "-" if item.gpu_hours is None else f"{item.gpu_hours:,.1f}",
        )
    console.print(table)
    console.print(
        "needed: samples a problem that decide at the margin; decides: smallest margin that n can decide"
        + ("; sees: smallest true difference that n tells from 0" if wide else "")
    )
    for item in plans:
        for line in _notes(item):
            console.print(f"- {escape(line)}", highlight=False)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"±{value:.2f}"


def _notes(item: Plan) -> list[str]:
    given, m = item.assumptions, item.published.samples
    known = f"m = {m} ({item.published.samples_source})" if m else "m not known, taken as 1"
    length = "" if given.tokens is None else f", {given.tokens:,.0f} tokens a sample ({given.tokens_source})"
    variance = f"v = {given.variance / 1e4:.3f} ({given.variance_source})"
    notes = [f"{item.title}: {variance}, published {item.published.text}, {known}{length}"]
    if math.isinf(item.needed):
        least = f"the published figure's own noise needs a margin of at least {item.smallest_margin:.1f}"
        notes.append(f"{item.title}: undecidable at a margin of {item.margin:g}: {least}")
    if item.schedule:
        sizes = ", ".join(f"{look.samples} (z {look.boundary:.2f})" for look in item.schedule.looks)
        equal, double, edge = item.schedule.equal, item.schedule.double, item.schedule.at_margin
        notes.append(
            f"{item.title}: look at n = {sizes}; {equal.expected:.1f} samples a problem on average if equal "
            f"({equal.reproduced:.0%} reproduced), {double.expected:.1f} at twice the margin ({double.refuted:.0%} not "
            f"reproduced); at the margin {edge.reproduced:.1%} and {edge.refuted:.1%} are wrongly decided"
        )
    return notes


def _follow(path: Path, run: Path, as_json: bool) -> None:
    stored = load_plan(path)
    results = evaluate(run, stored.against)
    planned = {item.benchmark: item.schedule for item in stored.benchmarks if item.schedule}
    rows = [row for row in results.rows if row.score.benchmark in planned]
    if not rows:
        raise UsageError(f"plan {path} has looks for {', '.join(planned) or 'nothing'}, and {run} holds none of these")
    told = []
    for row in rows:
        schedule, published = planned[row.score.benchmark], row.published
        if published is None:
            raise UsageError(f"{stored.against} has no score of {row.score.benchmark} any more; make the plan again")
        if row.verdict is not None and row.verdict.outcome == "not comparable":
            told.append({"benchmark": row.score.benchmark, "outcome": "not comparable", "stop": True})
            text = f"not comparable: {row.verdict.reason}"
        else:
            result = follow(schedule.fixed, schedule.margin, row.score, published)
            low, high = result.test.interval.low, result.test.interval.high
            action = "stop" if result.stop else f"go on to -n {result.next_samples}"
            told.append(
                {
                    "benchmark": row.score.benchmark,
                    "look": result.number,
                    "of": result.of,
                    "outcome": result.test.outcome,
                    "interval": [low, high],
                    "stop": result.stop,
                    "next_samples": result.next_samples,
                }
            )
            text = f"look {result.number} of {result.of}: {result.test.outcome} ({low:+.2f} to {high:+.2f}); {action}"
        if not as_json:
            typer.echo(f"{row.title}: {text}")
    if as_json:
        typer.echo(json.dumps(told, indent=2))
