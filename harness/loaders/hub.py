"""Rows from the Hugging Face hub, at one commit that is always known and recorded."""

from collections.abc import Iterator
from pathlib import Path

from harness.card import Card, Hub
from harness.errors import DataUnavailable, UsageError
from harness.loaders.local import Located, repository_rows
from harness.loaders.lock import locked_revision
from harness.loaders.read import RawRow, read_rows
from harness.loaders.row import Source


def find_hub(card: Card, hub: Hub, release: str | None, revision: str | None, cached_only: bool = False) -> Located:
    """Fetches what the card needs of a hub repository (from the hub's cache where it is already) and reads it.

    ``revision`` goes before the lock file's, and that before the card's. With none of them the newest commit is taken;
    the name of the snapshot folder says which one that was, also offline. ``cached_only`` never goes online.

    Raises:
        DataUnavailable: The repository cannot be reached, or its terms are not accepted.
        UsageError: It has no such release.
    """
    wanted = revision or locked_revision(card.name, hub.dataset) or hub.revision
    if hub.files:
        if release not in hub.files:
            raise UsageError(f"{card.name}: {hub.dataset} has no release '{release}'; it has {', '.join(hub.files)}")
        folder = _snapshot(hub, wanted, hub.files[release], cached_only)
        rows: Iterator[RawRow] = (row for name in hub.files[release] for row in read_rows(folder / name))
    else:
        folder = _snapshot(hub, wanted, hub.patterns, cached_only)
        rows = repository_rows(folder, hub)
    source = Source("hub", hub.dataset, ",".join(hub.configs), hub.split, folder.name)
    return Located(rows, source, hub.order, hub.content_hash or card.content_hash, ())


def _snapshot(hub: Hub, revision: str | None, patterns: tuple[str, ...], cached_only: bool) -> Path:
    import httpx
    import huggingface_hub
    from huggingface_hub import errors

    try:
        folder = huggingface_hub.snapshot_download(
            hub.dataset,
            repo_type="dataset",
            revision=revision,
            allow_patterns=list(patterns),
            etag_timeout=10,
            local_files_only=cached_only,
        )
    except errors.GatedRepoError as error:
        raise DataUnavailable(
            f"{hub.dataset} is gated: accept its terms on the hub and set HF_TOKEN to a token of that account"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DataUnavailable(f"the hub has no data set {hub.dataset}, or the token may not see it") from error
    except errors.RevisionNotFoundError as error:
        raise DataUnavailable(f"{hub.dataset} has no revision {revision} on the hub") from error
    except (
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        errors.HfHubHTTPError,
        httpx.HTTPError,
    ) as error:
        raise DataUnavailable(
            f"the hub cannot be reached for {hub.dataset}, and it is not in the local cache"
        ) from error
    except OSError as error:
        raise DataUnavailable(f"{hub.dataset} cannot be fetched: {error}") from error
    return Path(folder)
