"""``ringlite data``: pin, check and fetch the rows that scores rest on."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.card import card_names, load_card
from harness.data_fetch import fetch as fetch_data
from harness.data_lock import check as check_one
from harness.data_lock import entry
from harness.errors import CheckFailed, UsageError
from harness.loaders.lock import lock_path, read_lock, write_lock
from harness.problems import DATA_VARIABLE, LoadOptions, load

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Pin, check and fetch the benchmarks' data.",
)

Names = Annotated[list[str] | None, typer.Argument(help="Benchmarks; default: all.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder; default: RINGLITE_DATA.")]
Lock = Annotated[
    Path | None,
    typer.Option("--lock", help="Lock file; default: RINGLITE_DATA_LOCK, else ringlite-data.lock.json in this folder."),
]
Password = Annotated[
    str | None, typer.Option("--gpqa-password", help="Password of GPQA's archive; default: RINGLITE_GPQA_PASSWORD.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Never go online; use the hub's cache only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def lock(
    names: Names = None,
    data: Data = None,
    lock_file: Lock = None,
    gpqa_password: Password = None,
    offline: Offline = False,
) -> None:
    """Write revision, number of rows and content hash of the data that is there now.

    Without names, benchmarks whose data cannot be had are left out and named; entries of others are kept.
    """
    path = lock_path(lock_file)
    entries = read_lock(path) if path.is_file() else {}
    options = LoadOptions(gpqa_password=gpqa_password, hub="cached" if offline else "online")
    cards = [load_card(name) for name in names or card_names()]
    for card in cards:
        try:
            loaded = load(card, data, options)
        except UsageError as error:
            if names:
                raise
            typer.echo(f"{card.name}: left out: {error}", err=True)
            continue
        entries[card.name] = entry(loaded)
        known = "as the card says" if loaded.content_hash == loaded.expected_hash else "not the hash on the card"
        typer.echo(f"{card.name}: {len(loaded.problems)} problems, {loaded.content_hash} ({known})")
    write_lock(path, entries)
    typer.echo(f"wrote {path}")


@app.command()
def check(
    names: Names = None,
    data: Data = None,
    lock_file: Lock = None,
    gpqa_password: Password = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Compare the data with the lock file, or with the cards where nothing is locked.

    Exit code 1 if rows were changed or damaged, or locked or named ones cannot be had.
    """
    path = lock_path(lock_file)
    locked = read_lock(path) if lock_file is not None or path.is_file() else {}
    options = LoadOptions(gpqa_password=gpqa_password, hub="cached" if offline else "online")
    wanted = [load_card(name).name for name in names or card_names()]
    checks = [check_one(name, data, options, locked.get(name)) for name in wanted]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in checks], indent=2))
    else:
        for one in checks:
            typer.echo(f"{one.name}: {one.status}: {one.detail}")
    due = set(names or locked)
    bad = ("changed", "damaged")
    red = [one.name for one in checks if one.status in bad or (one.status == "unavailable" and one.name in due)]
    if red:
        raise CheckFailed(f"data of {', '.join(red)} is missing or not what was expected")


@app.command()
def fetch(names: Names = None, data: Data = None) -> None:
    """Fetch the data: hub sets into the hub's cache, published files into the data folder."""
    folder = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    failed: list[str] = []
    for name in names or card_names():
        card = load_card(name)
        if card.package is not None and not names:
            typer.echo(f"{name}: comes with the package {card.package}")
            continue
        try:
            source = fetch_data(card, folder)
        except UsageError as error:
            if names and len(names) == 1:
                raise
            failed.append(name)
            typer.echo(f"{name}: {error}", err=True)
            continue
        revision = f" @ {source.revision}" if source.revision else ""
        typer.echo(f"{name}: {source.where}{revision}")
    if failed:
        raise CheckFailed(f"data of {', '.join(failed)} could not be fetched")
