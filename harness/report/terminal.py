"""The table that ends a run on the terminal."""

import math

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
    console.print(_table(results))
    for row in results.rows:
        for line in _notes(row):
            console.print(f"  {line}", highlight=False)
    style = _STYLES[results.summary.outcome]
    if any(row.verdict for row in results.rows):
        title = escape(results.target.title)
        console.print(f"Against {title}: [{style}]{escape(results.summary.line)}[/]", highlight=False)


def _table(results: Results) -> Table:
    table = Table(title=f"{escape(results.model)} (scores in percent)", title_justify="left", header_style="bold")
    table.add_column("benchmark")
    for name in ("problems", "n", "avg@n", "SE_samp", "SE_total", "truncated", "no answer", "published", "difference"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in results.rows:
        score, verdict = row.score, row.verdict
        asked = (
            f"{score.problems}"
            if score.problems == score.total_problems
            else f"{score.problems}/{score.total_problems}"
        )
        n = f"{score.fewest}" if score.fewest == score.most else f"{score.fewest}-{score.most}"
        table.add_row(
            escape(row.title),
            asked,
            n,
            f"[bold]{points(score.score)}[/]",
            points(score.se_samp),
            points(score.se_total),
            share(score.shares.truncated),
            share(score.shares.no_answer),
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
    if score.shares.truncated > 0:
        notes.append(
            f"  {escape(row.title)}, finished answers alone: {points(score.finished_score)} "
            f"over {score.finished_samples}"
        )
    for other in score.others:
        notes.append(
            f"  {escape(row.title)}, scorer {escape(other.scorer)}: {points(other.score)}; differs on "
            f"{other.disagreements} of {other.samples} samples"
        )
    return notes
