"""Tables of ``ringlite grade`` beside the usual one: parts of a benchmark, and agreement with official verdicts."""

import math
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from harness.agreement import Agreement, Disagreement
from harness.scoring_types import Score

_SHOWN = 25
_PARTS = ("difficulty", "month", "platform", "subject", "level", "domain", "contest", "answer_type")


def print_parts(title: str, score: Score, console: Console) -> None:
    """One line ``right/samples = percent`` and the parts by difficulty, month and the like."""
    typer.echo(f"{title}, scorer {score.scorer}: {headline(score)}")
    groups = {name: score.groups[name] for name in _PARTS if name in score.groups}
    if not groups:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("by", "part", "problems", "samples", "avg@n", "SE_samp"):
        table.add_column(heading, justify="left" if heading in ("by", "part") else "right")
    for name, parts in groups.items():
        for part in parts:
            figures = (str(part.problems), str(part.samples), _points(part.score), _points(part.se_samp))
            table.add_row(name, part.value, *figures)
    console.print(table)


def headline(score: Score) -> str:
    """``145/279 = 51.97``; with several samples a problem the mean is over problems, so only that is shown."""
    if score.most == 1:
        return f"{round(score.score * score.samples)}/{score.samples} = {_points(score.score)}"
    return f"{_points(score.score)} over {score.problems} problems, {score.samples} samples"


def parts_json(score: Score) -> dict[str, Any]:
    """The same as data: share of 1, samples, and the parts."""
    parts = {
        name: [{"value": p.value, "problems": p.problems, "samples": p.samples, "score": p.score} for p in groups]
        for name, groups in score.groups.items()
    }
    return {
        "scorer": score.scorer,
        "problems": score.problems,
        "samples": score.samples,
        "score": None if math.isnan(score.score) else score.score,
        "parts": parts,
    }


def print_agreement(found: Agreement) -> None:
    """How often our verdict is the official one, then each sample where it is not."""
    typer.echo(f"agreement with the official verdicts: {found.agreeing} of {found.both} samples")
    _print_list("accepted officially, rejected here", found.rejected_here_only)
    _print_list("rejected officially, accepted here", found.accepted_here_only)


def _print_list(title: str, items: tuple[Disagreement, ...]) -> None:
    if not items:
        return
    typer.echo(f"{title}: {len(items)}")
    for item in items[:_SHOWN]:
        typer.echo(f"  {item.problem_id} #{item.index}: {item.reason}")
    if len(items) > _SHOWN:
        typer.echo(f"  ... and {len(items) - _SHOWN} more; --json lists all")


def _points(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.2f}"
