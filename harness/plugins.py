"""What installed packages add to the harness through entry points, so that it needs to import none of them by name.

Group ``ringlite.architectures``: a ``model_type`` -> a module whose import registers it with transformers.
Group ``ringlite.rows``: the name of a benchmark -> a function that yields the raw rows its card reads.
"""

import importlib.metadata
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.errors import UsageError

ARCHITECTURES, ROWS = "ringlite.architectures", "ringlite.rows"


def register_architecture(folder: Path) -> None:
    """Imports the module that knows the model type of a checkpoint folder, if an installed package has one."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # whoever loads the checkpoint says what is wrong with it
    kind = config.get("model_type") if isinstance(config, dict) else None
    for entry in importlib.metadata.entry_points(group=ARCHITECTURES, name=str(kind)):
        _load(entry)


def packaged_rows(benchmark: str) -> tuple[Iterable[dict[str, Any]], str] | None:
    """The raw rows of a benchmark that an installed package makes, and the package with its version; or None."""
    for entry in importlib.metadata.entry_points(group=ROWS, name=benchmark):
        rows: Callable[[], Iterable[dict[str, Any]]] = _load(entry)
        return rows(), f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    return None


def _load(entry: importlib.metadata.EntryPoint) -> Any:
    try:
        return entry.load()
    except ImportError as error:
        raise UsageError(f"the plugin {entry.value} ({entry.group}, {entry.name}) cannot be loaded: {error}") from error
