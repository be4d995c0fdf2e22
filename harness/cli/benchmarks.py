"""``ringlite benchmarks``: what there is, and whether its data can be reached."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from harness.card import Card, card_names, load_card
from harness.problems import LoadOptions
from harness.whereabouts import Whereabouts, whereabouts

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def benchmarks(
    name: Annotated[
        str | None, typer.Argument(help="Show this benchmark's card (a name, or the path of a card).")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder; default: the environment variable RINGLITE_DATA.")
    ] = None,
    gpqa_password: Annotated[
        str | None,
        typer.Option(
            "--gpqa-password", help="Password of GPQA's archive; default: RINGLITE_GPQA_PASSWORD. Never stored."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the benchmarks and whether their data can be reached, or show one card."""
    options = LoadOptions(gpqa_password=gpqa_password)
    cards = [load_card(name)] if name is not None else [load_card(known) for known in card_names()]
    rows = [(card, whereabouts(card, data, options)) for card in cards]
    if as_json:
        described = [_described(card, place, full=name is not None) for card, place in rows]
        typer.echo(json.dumps(described[0] if name is not None else described, indent=2))
    elif name is not None:
        typer.echo(card_text(*rows[0]))
    else:
        # Piped output is not folded: a line is a benchmark.
        console = Console()
        (console if console.is_terminal else Console(width=240)).print(_table(rows))


def _described(card: Card, place: Whereabouts, full: bool) -> dict[str, Any]:
    found = {"data": place.status, "where": place.detail}
    if full:
        return {**card.model_dump(mode="json"), **found}
    return {
        "name": card.name,
        "title": card.title,
        "problems": card.num_problems,
        "answer_type": card.answer_type,
        "paper_key": card.paper_key,
        **found,
    }


def _table(rows: list[tuple[Card, Whereabouts]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("benchmark", "title", "problems", "answers", "data", "where, or what to do"):
        table.add_column(heading, justify="right" if heading == "problems" else "left", overflow="fold")
    for card, place in rows:
        table.add_row(card.name, card.title, str(card.num_problems), card.answer_type, place.status, place.detail)
    return table


def card_text(card: Card, place: Whereabouts) -> str:
    """A card for human readers."""
    protocol = card.protocol
    n = f"n {protocol.n} ({protocol.n_source})" if protocol.n else "n not known"
    lines = [
        f"{card.title} ({card.name})",
        card.description,
        "",
        f"problems   {card.num_problems}",
        f"answers    {card.answer_type}, graded by {card.grader}",
        f"data       {place.status}: {place.detail}",
    ]
    for hub in card.hub:
        gated = ", gated" if hub.gated else ""
        lines.append(
            f"hub        {hub.dataset} {','.join(hub.configs)} {hub.split} @ {hub.revision or 'not pinned'}{gated}"
        )
    lines += [f"file       {layout.path}" for layout in card.local]
    lines += [f"package    {card.package}"] if card.package else []
    if card.release and card.window:
        lines.append(f"selection  {card.release}, contests {card.window[0]} to {card.window[1]}")
    lines += [
        f"hash       {card.content_hash or 'not known'}",
        f"protocol   temperature {protocol.temperature}, top_p {protocol.top_p}, max_tokens {protocol.max_tokens}, "
        f"zero-shot, {n}",
        f"margin     {card.margin} points",
        f"paper      {card.paper_key or 'not in the paper'}",
        f"licence    {card.licence}",
        f"cite       {card.citation}",
        "",
        f"prompt ({card.prompt.style}; {card.prompt.source})",
    ]
    lines += [f"    {line}" for line in card.prompt.template.rstrip().split("\n")]
    for variant, template in card.prompt.variants.items():
        lines += [f"prompt variant {variant}", *(f"    {line}" for line in template.rstrip().split("\n"))]
    if card.errata:
        lines += ["", "errata", *(f"  {item.problem}: {item.what} [{item.source}]" for item in card.errata)]
    if card.notes:
        lines += ["", "notes", *(f"  {note}" for note in card.notes)]
    return "\n".join(lines)
