"""The settings of a recipe file: YAML, over those of another recipe where it has an ``extends`` line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UsageError


def read_settings(path: Path, locate: Callable[[str], Path]) -> dict[str, Any]:
    """Reads a recipe file.

    ``extends: NAME`` takes all settings of that recipe; tables are merged setting by setting, anything else replaces
    what it stands for, and a table that is set to null leaves it out.

    Args:
        path: The file.
        locate: The file of a name behind ``extends``; a path there is relative to the file that has it.

    Raises:
        UsageError: A file cannot be read or holds no mapping, or recipes extend each other in a circle.
    """
    return _read(path, locate, ())


def _read(path: Path, locate: Callable[[str], Path], above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise UsageError(f"the recipe {path} extends itself, by way of {', '.join(p.name for p in above)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"the recipe {path} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"the recipe {path} holds no settings: write them as 'name: value' lines")
    unshared: dict[str, Any] = _unshared(values)
    if (name := unshared.pop("extends", None)) is None:
        return unshared
    if not isinstance(name, str):
        raise UsageError(f"the recipe {path}: extends takes one name or path, not {name!r}")
    beside = path.parent / name
    base = _read(beside if beside.is_file() else locate(name), locate, (*above, path.resolve()))
    return merged(base, unshared)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``base``, table by table; neither is changed."""
    result = dict(base)
    for name, value in over.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _unshared(value: Any) -> Any:
    """A copy in which a YAML anchor's table is one for each place, so that a change of one leaves the others alone."""
    if isinstance(value, dict):
        return {name: _unshared(inner) for name, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value
