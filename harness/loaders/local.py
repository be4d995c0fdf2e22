"""Finds and reads a benchmark's rows below a data folder (``--data`` or ``RINGLITE_DATA``)."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.card import Card, Hub
from harness.errors import UsageError
from harness.loaders import gpqa
from harness.loaders.read import SUFFIXES, RawRow, read_rows
from harness.loaders.row import Source


@dataclass(frozen=True, slots=True)
class Located:
    """Rows that were found, still unread, with what the card says of their source.

    ``content_hash`` is what the normalised rows should hash to, None where the card does not know.
    """

    rows: Iterable[RawRow]
    source: Source
    order: tuple[str, ...] = ()
    content_hash: str | None = None
    files: tuple[Path, ...] = field(default_factory=tuple)


def find_local(card: Card, data: Path, release: str | None, password: str | None) -> Located | None:
    """Looks for the card's rows in a folder, or takes ``data`` itself if it is a file; None: they are not there.

    In a folder the places are, in this order: LiveCodeBench's raw release files; the card's ``local`` paths;
    ``<name>.jsonl`` (and the other kinds); a folder ``<name>`` or ``<owner>/<data set>`` with a copy of the hub
    repository.

    Raises:
        UsageError: ``data`` does not exist, or what was found cannot be read.
    """
    if not data.exists():
        raise UsageError(f"the data folder {data} does not exist; name the right one with --data or RINGLITE_DATA")
    if data.is_file():
        return _one_file(card, data, password)
    if card.rows == "livecodebench":
        raw = _release_files(card, data, release)
        if raw is not None:
            return raw
    for layout in card.local:
        path = data / layout.path
        if path.is_file() and layout.release in (None, release):
            source = Source("local", str(path), notes=dict(layout.notes))
            rows = gpqa.read_archive(path, layout.member, password) if layout.member else read_rows(path)
            return Located(rows, source, layout.order, layout.content_hash or card.content_hash, (path,))
    for path in (data / f"{card.name}{suffix}" for suffix in SUFFIXES):
        if path.is_file():
            return _one_file(card, path, password)
    # Repositories with raw release files were looked for above; datasets would take any file for a split.
    tables = [hub for hub in card.hub if not hub.files]
    folders = [(data / card.name, hub) for hub in tables[:1]] + [(data / hub.dataset, hub) for hub in tables]
    for folder, hub in folders:
        if folder.is_dir() and any(folder.rglob("*.*")):
            rows = repository_rows(folder, hub)
            files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
            source = Source("local", str(folder), ",".join(hub.configs), hub.split)
            return Located(rows, source, hub.order, hub.content_hash or card.content_hash, files)
    return None


def looked_for(card: Card, release: str | None) -> str:
    """The places in a data folder, for a message."""
    places = [layout.path for layout in card.local if layout.release in (None, release)]
    places += [f"{card.name}.jsonl", *(hub.dataset + "/" for hub in card.hub)]
    return ", ".join(places)


def _one_file(card: Card, path: Path, password: str | None) -> Located:
    layout = next((layout for layout in card.local if Path(layout.path).name == path.name), None)
    if layout is None:
        return Located(read_rows(path), Source("local", str(path)), (), card.content_hash, (path,))
    rows = gpqa.read_archive(path, layout.member, password) if layout.member else read_rows(path)
    source = Source("local", str(path), notes=dict(layout.notes))
    return Located(rows, source, layout.order, layout.content_hash or card.content_hash, (path,))


def _release_files(card: Card, data: Path, release: str | None) -> Located | None:
    for hub in card.hub:
        names = hub.files.get(release or "", ())
        for folder in (data, data / card.name, data / card.name / hub.dataset.rpartition("/")[2], data / hub.dataset):
            paths = [folder / name for name in names]
            if paths and all(path.is_file() for path in paths):
                return Located(_chain(paths), Source("local", str(folder)), (), card.content_hash, tuple(paths))
    return None


def _chain(paths: Iterable[Path]) -> Iterator[RawRow]:
    for path in paths:
        yield from read_rows(path)


def repository_rows(folder: Path, hub: Hub) -> Iterator[RawRow]:
    """Reads the configurations of a copy of a hub repository with ``datasets``; rows carry ``__config__``.

    Raises:
        UsageError: ``datasets`` finds no such configuration or split in the folder, or cannot read the files.
    """
    import datasets

    for config in hub.configs:
        name = None if config == "default" else config
        try:
            table: Any = datasets.load_dataset(str(folder), name, split=hub.split)
        except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
            raise UsageError(
                f"{folder} does not hold configuration {config}, split {hub.split} of {hub.dataset}: {error}"
            ) from error
        for row in table:
            yield {**row, "__config__": config}


def file_digest(path: Path) -> str:
    """``sha256:`` and the hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
