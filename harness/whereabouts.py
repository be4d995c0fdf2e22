"""Can a benchmark's data be had, and where? Nothing is read in full and nothing is fetched."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.card import Card
from harness.errors import DataNowhere, UsageError
from harness.problems import LoadOptions, locate


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """``found``: rows lie on this machine, ``detail`` says where. ``missing``: ``detail`` says what to do."""

    status: Literal["found", "missing"]
    detail: str


def whereabouts(card: Card, data: Path | None = None, options: LoadOptions | None = None) -> Whereabouts:
    """Looks where ``harness.problems.load`` looks, the hub's cache included, but never goes online."""
    options = options or LoadOptions()
    offline = LoadOptions(gpqa_password=options.gpqa_password, release=options.release, hub="never")
    try:
        source = locate(card, data, offline).source
        return Whereabouts("found", source.where)
    except UsageError as error:
        if not isinstance(error, DataNowhere):
            return Whereabouts("missing", str(error))
    try:
        source = locate(card, data, replace(offline, hub="cached")).source
        return Whereabouts("found", f"{source.where} @ {source.revision} (hub cache)")
    except UsageError:
        return Whereabouts("missing", _advice(card))


def _advice(card: Card) -> str:
    if card.download is not None:
        return f"ringlite data fetch {card.name} --data DIR"
    if not card.hub:
        return "give its rows with --data DIR"
    gated = "; gated: accept its terms on the hub and set HF_TOKEN" if card.hub[0].gated else ""
    return f"ringlite data fetch {card.name} (hub {card.hub[0].dataset}{gated}), or --data DIR"
