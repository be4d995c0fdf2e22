"""The table that ends a run on the terminal."""

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.report.wording import OUTCOME_MARKS, points, share
from harness.scoring_results import Results, Row

_STYLES = {
    "reproduced": "bold green",
    "not reproduced": "bold red",
    "inconclusive": "bold yellow",
    "not comparable": "bold magenta",
}


def print_table(results: Results, console: Console | None = None) -> None:
    """Prints scores, errors, shares and verdicts, one row a benchmark, and the reasons below."""
    console = console or Console()
    console.print(_table(results, console.width >= 100))
    for row in results.rows:
        for line in _notes(row):
            console.print(f"  {line}", highlight=False)
    style = _STYLES[results.summary.outcome]
    if any(row.verdict for row in results.rows):
        title = escape(results.target.title)
        console.print(f"Against {title}: [{style}]{escape(results.summary.line)}[/]", highlight=False)


def _table(results: Results, wide: bool) -> Table:
    table = Table(
        title=f"{escape(results.model)} (percent)", title_justify="left", header_style="bold", box=SIMPLE_HEAD
    )
    table.pad_edge, table.collapse_padding = False, True
    table.add_column("benchmark", min_width=9)
    figures = ("P x n", "avg@n", "SE", *(("SE total", "no answer") if wide else ()), "cut", "published", "diff")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", min_width=16, no_wrap=True)
    for row in results.rows:
        score, verdict = row.score, row.verdict
        whole = score.problems == score.total_problems
        asked = f"{score.problems}" if whole else f"{score.problems}/{score.total_problems}"
        n = f"{score.fewest}" if score.fewest == score.most else f"{score.fewest}-{score.most}"
        more = (points(score.se_total), share(score.shares.no_answer)) if wide else ()
        table.add_row(
            escape(row.title),
            f"{asked} x {n}",
            f"[bold]{points(score.score)}[/]",
            points(score.se_samp),
            *more,
            share(score.shares.truncated),
            row.published.text if row.published else "-",
            "-" if verdict is None or math.isnan(verdict.difference) else f"{verdict.difference:+.2f}",
            "-" if verdict is None else f"[{_STYLES[verdict.outcome]}]{OUTCOME_MARKS[verdict.outcome]}[/]",
        )
    return table


def _notes(row: Row) -> list[str]:
    score, verdict = row.score, row.verdict
    notes = []
    if verdict is not None:
        told = f": {escape(verdict.advice)}" if verdict.advice else ""
        notes.append(f"[bold]{escape(row.title)}[/]: {escape(verdict.outcome)}: {escape(verdict.reason)}{told}")
        if verdict.accepted:
            notes.append(f"  accepted by the user: {escape(', '.join(verdict.accepted))}")
    shares, name = score.shares, escape(row.title)
    if shares.truncated > 0 or shares.no_answer > 0:
        finished = f"finished answers alone {points(score.finished_score)} over {score.finished_samples}"
        notes.append(f"  {name}: truncated {share(shares.truncated)}, no answer {share(shares.no_answer)}, {finished}")
    for other in score.others:
        notes.append(
            f"  {name}, scorer {escape(other.scorer)}: {points(other.score)}; differs on "
            f"{other.disagreements} of {other.samples} samples"
        )
    return notes
