"""comparison.html: two or more runs side by side, every run against the first."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from harness.report.benchmark import protocol_table
from harness.report.markup import badge, interval_text, legend, table
from harness.report.page import document, heading
from harness.report.sections import percent
from harness.report.svg import ForestRow, forest, scatter
from harness.report.wording import points, share
from harness.scoring_results import Results, Row
from harness.statistics import Interval, Overdispersion
from harness.verdict_runs import RunComparison, compare, repeated, shared

COMPARISON = "comparison.html"


def labels(runs: Sequence[Results]) -> list[str]:
    """Short names of the runs: the model; the folder where all are of one model; both where some repeat."""
    models, folders = [run.model for run in runs], [run.folder.resolve().name for run in runs]
    if len(set(models)) == 1 and len(set(folders)) == len(runs):
        return folders
    return [m if models.count(m) == 1 else f"{m} ({f})" for m, f in zip(models, folders, strict=True)]


def comparisons(runs: Sequence[Results], accept: Iterable[str] = ()) -> list[list[RunComparison]]:
    """For every run after the first: one comparison a benchmark that both have."""
    base = {row.score.benchmark: row for row in runs[0].rows}
    accepted = tuple(accept)
    return [
        [compare(base[row.score.benchmark], row, accepted) for row in run.rows if row.score.benchmark in base]
        for run in runs[1:]
    ]


def repeated_runs(runs: Sequence[Results]) -> Iterator[tuple[str, Overdispersion]]:
    """A/A for every benchmark that at least two runs share under one protocol: its title and the spread."""
    for benchmark in dict.fromkeys(row.score.benchmark for row in runs[0].rows):
        rows = [row for run in runs if (row := _row(run, benchmark)) is not None]
        if len(rows) > 1 and (spread := repeated(rows)) is not None and not math.isnan(spread.per_problem):
            yield rows[0].title, spread


def comparison_json(found: RunComparison, name: str, base: str) -> dict[str, Any]:
    """One comparison for machines, in points; null where a figure is undefined."""
    pair, test = found.pair, found.test
    figures = {
        "difference": found.difference,
        "se_samp": 100 * pair.se_samp if pair else math.nan,
        "se_paired": 100 * pair.se if pair else math.nan,
        "p_paired": pair.p_value if pair else math.nan,
        "interval_low": test.interval.low if test else math.nan,
        "interval_high": test.interval.high if test else math.nan,
    }
    return {
        "run": name,
        "base": base,
        "benchmark": found.benchmark,
        "outcome": found.outcome,
        "reason": found.reason,
        "problems": found.problems,
        "margin": found.margin,
        **{key: None if math.isnan(value) else value for key, value in figures.items()},
        "differences": [item.field for item in found.protocol if item.state == "differs"],
        "guards": [guard.name for guard in found.guards],
    }


def render_comparison(runs: Sequence[Results], path: Path, accept: Iterable[str] = ()) -> Path:
    """Writes the comparison of two or more evaluated runs as one self-contained page."""
    names, pairs = labels(runs), comparisons(runs, accept)
    benchmarks = list(dict.fromkeys(row.score.benchmark for run in runs for row in run.rows))
    sections = [f'<section class="card"><h2>Scores</h2>{_scores(runs, names, benchmarks)}</section>']
    for benchmark in benchmarks:
        rows = [(name, _row(run, benchmark)) for name, run in zip(names, runs, strict=True)]
        there = [(name, row) for name, row in rows if row is not None]
        found = [(n, c) for n, group in zip(names[1:], pairs, strict=True) for c in group if c.benchmark == benchmark]
        sections.append(_benchmark(there, names[0], found))
    under = f"each run against the first, {names[0]}"
    body = f"{heading('ringlite comparison', ' · '.join(names), under)}<main>{''.join(sections)}</main>"
    made = ", ".join(run.folder.name for run in runs)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(document("Comparison · ringlite", body, made), encoding="utf-8")
    scratch.replace(path)
    return path


def _row(run: Results, benchmark: str) -> Row | None:
    return next((row for row in run.rows if row.score.benchmark == benchmark), None)


def _scores(runs: Sequence[Results], names: Sequence[str], benchmarks: Sequence[str]) -> str:
    lines = []
    for benchmark in benchmarks:
        rows = [_row(run, benchmark) for run in runs]
        title = next(row.title for row in rows if row)
        lines.append((f"<b>{escape(title)}</b>", *(_score(row) for row in rows)))
    return table(("Benchmark", *map(escape, names)), lines)


def _score(row: Row | None) -> str:
    if row is None or not row.score.problems:
        return "—"
    score = row.score
    small = f"{interval_text(score.interval_samp)}<br>{score.problems} × {score.fewest}"
    small += f", {share(score.shares.truncated)} cut"
    return f'<span class="score">{points(score.score)}</span><small>{small}</small>'


def _benchmark(there: Sequence[tuple[str, Row]], base: str, found: Sequence[tuple[str, RunComparison]]) -> str:
    title = escape(there[0][1].title)
    plot = forest([_forest_row(name, row) for name, row in there])
    parts = [f"<h2>{title}</h2>", f'<div class="plot">{plot}</div>']
    rows = [row for _, row in there]
    for name, comparison in found:
        parts.append(_pair(name, base, comparison, there))
    if len(rows) > 1 and (spread := repeated(rows)) is not None:
        parts.append(_spread(spread))
    return f'<section class="card">{"".join(parts)}</section>'


def _forest_row(name: str, row: Row) -> ForestRow:
    score = row.score
    return ForestRow(name, 100 * score.score, percent(score.interval_samp), percent(score.interval_total))


def _pair(name: str, base: str, found: RunComparison, there: Sequence[tuple[str, Row]]) -> str:
    head = f'<div class="bench-head"><h3>{escape(name)} against {escape(base)}</h3>{badge(found.outcome)}</div>'
    parts = [head, f"<p>{escape(found.reason[:1].upper() + found.reason[1:])}.</p>"]
    if found.pair:
        pair = found.pair
        cells = (
            f"{100 * pair.difference:+.2f}",
            points(pair.se_samp),
            points(pair.se),
            _signed(pair.interval),
            "—" if math.isnan(pair.p_value) else f"{pair.p_value:.3g}",
            str(found.problems),
        )
        names = ("Difference", "SE, new samples", "SE, paired", "95 % interval, paired", "p, paired", "Problems")
        parts.append(table(names, [cells], numeric=0))
    rows = dict(there)
    swings = [(escape(problem), points(a, 1), points(b, 1), f"{100 * (b - a):+.1f}") for problem, a, b in found.swings]
    if swings and name in rows and base in rows:
        ids, a, b = shared(rows[base].score, rows[name].score)
        dots = scatter(ids, [100 * float(x) for x in a.rates], [100 * float(y) for y in b.rates], base, name)
        note = legend((("", "one dot a problem: share right in the one run and in the other, %"),))
        listed = table(("Problem", "Base", "Other", "Change"), swings)
        parts.append(
            f'<div class="columns"><div><h4>Problem by problem</h4>{dots}{note}</div>'
            f"<div><h4>Largest changes</h4>{listed}</div></div>"
        )
    parts += ["<h4>Protocol</h4>", protocol_table(found.protocol, "Base run")]
    return "".join(parts)


def _signed(interval: Interval) -> str:
    return "—" if math.isnan(interval.low) else f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}"


def _spread(found: Overdispersion) -> str:
    if math.isnan(found.per_problem):
        return ""
    loud = min(found.p_per_problem, found.p_between_runs) < 0.01
    told = "more than sampling explains: look for a hidden difference" if loud else "as sampling predicts"
    return (
        f"<h4>Repeated runs (A/A)</h4><p>Spread between the {found.runs} runs, {told}: per problem "
        f"{found.per_problem:.2f} times the expected one (p = {found.p_per_problem:.3f}), between run means "
        f"{found.between_runs:.2f} times (p = {found.p_between_runs:.3f}).</p>"
    )
