"""Gets the data of a benchmark from where its authors publish it: the hub, or a file at a plain URL."""

import hashlib
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from harness.card import Card, Download
from harness.errors import UsageError
from harness.loaders.hub import find_hub
from harness.loaders.row import Source

_TIMEOUT_S = 60


def fetch(card: Card, folder: Path | None, release: str | None = None, revision: str | None = None) -> Source:
    """Fetches a benchmark's data and says where it lies now.

    Hub data sets go into the hub's cache, published files below ``folder``.

    Raises:
        UsageError: It cannot be reached, or is not what the card says.
    """
    if card.download is not None:
        if folder is None:
            raise UsageError(f"{card.name} is fetched into a data folder: name it with --data DIR or RINGLITE_DATA")
        return Source("local", str(_download(card.download, folder)))
    if not card.hub:
        raise UsageError(f"{card.name} has no source to fetch from; its rows come with the package {card.package}")
    return find_hub(card, card.hub[0], release or card.release, revision).source


def _download(download: Download, folder: Path) -> Path:
    target = folder / download.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    try:
        with urllib.request.urlopen(download.url, timeout=_TIMEOUT_S) as response, partial.open("wb") as file:
            shutil.copyfileobj(response, file)
    except (urllib.error.URLError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{download.url} cannot be fetched: {getattr(error, 'reason', None) or error}") from error
    digest = hashlib.sha256(partial.read_bytes()).hexdigest()
    if download.sha256 is not None and digest != download.sha256:
        partial.unlink()
        raise UsageError(f"{download.url} has the SHA-256 {digest}, not {download.sha256}: it was changed or damaged")
    return partial.replace(target)
