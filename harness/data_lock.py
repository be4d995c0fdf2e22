"""Which rows a benchmark had when it was locked, and whether it still has them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from harness.card import load_card
from harness.errors import DataUnavailable, UsageError
from harness.problems import Loaded, LoadOptions, load

CheckStatus = Literal["ok", "changed", "damaged", "unavailable"]


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one benchmark's data. ``detail`` names what differs, or why the rows cannot be had."""

    name: str
    status: CheckStatus
    detail: str
    rows: int | None = None
    content_hash: str | None = None


def entry(loaded: Loaded) -> dict[str, Any]:
    """The lock entry of loaded problems: no machine's path, so that one lock serves all machines."""
    source = asdict(loaded.source)
    if source["kind"] == "local":
        source["where"] = Path(source["where"]).name
    return {
        "source": source,
        "rows": len(loaded.problems),
        "content_hash": loaded.content_hash,
        "tests_hash": loaded.tests_hash,
        "selection": {name: list(v) if isinstance(v, tuple) else v for name, v in loaded.selection.items()},
    }


def check(name: str, data: Path | None, options: LoadOptions, locked: dict[str, Any] | None) -> Check:
    """Loads a benchmark's rows and compares them with its lock entry, or with its card where there is none."""
    card = load_card(name)
    try:
        loaded = load(card, data, options)
    except DataUnavailable as error:
        return Check(name, "unavailable", str(error))
    except UsageError as error:
        return Check(name, "damaged", str(error))
    wanted = locked if locked is not None else {"content_hash": loaded.expected_hash}
    found = entry(loaded)
    against = "the lock" if locked is not None else "the card"
    faults = [
        f"{field.replace('_', ' ')} {found[field]} instead of {wanted[field]}"
        for field in ("rows", "content_hash", "tests_hash", "selection")
        if wanted.get(field) is not None and found[field] != wanted[field]
    ]
    place = loaded.source.where
    if faults:
        return Check(
            name,
            "changed",
            f"{place} differs from {against}: {'; '.join(faults)}",
            len(loaded.problems),
            loaded.content_hash,
        )
    known = wanted.get("content_hash") is not None
    detail = (
        f"{place} is what {against} says" if known else f"{place}: sound, but {against} knows no hash to compare with"
    )
    return Check(name, "ok", detail, len(loaded.problems), loaded.content_hash)
