"""Turns a failed validation of a YAML file into one sentence that names the file, the key and the way out."""

import inspect
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import UsageError, nearest

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(model: type[Model], path: Path, what: str) -> Model:
    """Reads ``path`` into ``model``.

    Args:
        model: Pydantic model of the whole file; it should forbid extra keys.
        path: YAML file.
        what: How a message calls the file, e.g. ``"card"``.

    Raises:
        UsageError: The file cannot be read, is no YAML mapping, or does not fit the model; an unknown key is named with
            the nearest known one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{what} {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place is not None else ""
        raise UsageError(
            f"{what} {path}{line} is not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from error
    if not isinstance(content, dict):
        raise UsageError(f"{what} {path} must be a YAML mapping of keys to values")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{what} {path}: {first_fault(error, model)}") from error


def first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    """One clause about the most telling fault: an unknown key before anything else."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{key}'{nearest(str(fault['loc'][-1]), _fields_at(model, fault['loc'][:-1]))}"
    if fault["type"] == "missing":
        return f"key '{key}' is missing"
    reason = fault["msg"].removeprefix("Value error, ")
    return f"key '{key}': {reason[:1].lower()}{reason[1:]}" if key else reason


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Field names of the model that stands at ``path`` inside ``model``; list positions do not change the model."""
    for part in path:
        if part in model.model_fields:
            inner = _model_in(model.model_fields[str(part)].annotation)
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and not typing.get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for arg in typing.get_args(annotation) if (found := _model_in(arg))), None)
