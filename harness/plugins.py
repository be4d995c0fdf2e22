"""What installed packages add to the harness through entry points, so that it needs to import none of them by name.

Group ``ringlite.architectures``: a ``model_type`` -> a module whose import registers it with transformers.
Group ``ringlite.rows``: the name of a benchmark -> a function that yields the raw rows its card reads.
Group ``ringlite.models``: the name of a checkpoint in a package -> a function that gives its ``PackagedModel``.
"""

import importlib.metadata
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError

ARCHITECTURES, ROWS, MODELS = "ringlite.architectures", "ringlite.rows", "ringlite.models"


@dataclass(frozen=True)
class PackagedModel:
    """A checkpoint that comes with an installed package.

    Attributes:
        folder: In hub layout.
        benchmarks: What it is scored on unless something else is asked for.
        against: Row of published scores that it is held against by default.
    """

    folder: Path
    benchmarks: tuple[str, ...]
    against: str


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


def packaged_model(name: str) -> PackagedModel | None:
    """The checkpoint of this name that an installed package carries, or None."""
    for entry in importlib.metadata.entry_points(group=MODELS, name=name):
        find: Callable[[], PackagedModel] = _load(entry)
        return find()
    return None


def _load(entry: importlib.metadata.EntryPoint) -> Any:
    try:
        return entry.load()
    except ImportError as error:
        raise UsageError(f"the plugin {entry.value} ({entry.group}, {entry.name}) cannot be loaded: {error}") from error
