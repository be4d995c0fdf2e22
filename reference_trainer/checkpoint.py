"""Checkpoints from which a run continues bitwise: weights, AdamW, every generator, data order, thread count.

A checkpoint is a folder ``step-00000012`` with ``state.pt`` (tensors and plain values, read without unpickling code)
and ``manifest.json``. It appears under its name in one rename after everything is on disk, so a kill at any moment
leaves the last complete one.
"""

import hashlib
import json
import os
import platform
import random
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.errors import UsageError

SCHEMA_VERSION = 1


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], keep: int = 2) -> Path:
    """Writes the state after ``step`` steps, then removes all but the newest ``keep`` checkpoints.

    Args:
        folder: Of all checkpoints of the run; made where missing.
        step: Steps done.
        state: Tensors, numbers, strings, None, and dicts, lists or tuples of them.
        keep: At least 1.

    Returns:
        The checkpoint's folder.

    Raises:
        UsageError: There is a checkpoint of this step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    target = folder / f"step-{step:08d}"
    if target.exists():
        raise UsageError(f"checkpoint {target} exists: resume the run, or begin it in another folder")
    partial = folder / f".partial-{target.name}"
    partial.mkdir()
    torch.save({**state, "generators": generator_states()}, partial / "state.pt")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "step": step,
        **environment(),
        "sha256": _sha256(partial / "state.pt"),
    }
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for path in (partial / "state.pt", partial / "manifest.json", partial):
        _sync(path)
    partial.rename(target)
    _sync(folder)
    for old in checkpoints(folder)[:-keep]:
        old.rename(folder / f".old-{old.name}")  # out of sight in one step: a half-deleted one never counts
    _sweep(folder)
    return target


def load_checkpoint(path: Path, *, other_threads: bool = False) -> dict[str, Any]:
    """Reads a checkpoint and sets the generators of python, numpy and torch to where they were.

    Args:
        path: A folder that ``save_checkpoint`` returned.
        other_threads: Accept another number of threads than that of the run, and a result that is not bitwise its own.

    Returns:
        The state that was saved, and ``step``.

    Raises:
        UsageError: The files are damaged, of another schema, or the thread count differs.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        digest = _sha256(path / "state.pt")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"checkpoint {path} cannot be read ({error}): remove it to resume from the one before"
        ) from None
    if manifest.get("schema_version") != SCHEMA_VERSION:
        found = manifest.get("schema_version")
        raise UsageError(f"checkpoint {path} has schema {found}, this version reads {SCHEMA_VERSION}: use that version")
    if digest != manifest["sha256"]:
        raise UsageError(f"{path / 'state.pt'} is damaged (checksum): remove {path} to resume from the one before")
    _compare_environment(path, manifest, other_threads)
    state: dict[str, Any] = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    restore_generators(state.pop("generators"))
    return {**state, "step": int(manifest["step"])}


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    return next(reversed(checkpoints(folder)), None)


def environment() -> dict[str, Any]:
    """What bitwise equality depends on besides the state."""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def generator_states() -> dict[str, Any]:
    """States of the global generators of python, numpy and torch as plain values and tensors."""
    legacy: dict[str, Any] = dict(np.random.get_state(legacy=False))
    return {
        "python": random.getstate(),
        "numpy": {
            "bit_generator": str(legacy["bit_generator"]),
            "key": torch.from_numpy(legacy["state"]["key"].astype(np.int64)),
            "pos": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "gauss": float(legacy["gauss"]),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Sets the global generators to ``generator_states``."""
    version, values, gauss = states["python"]
    random.setstate((version, tuple(values), gauss))
    legacy = dict(states["numpy"])
    legacy["state"] = {"key": legacy.pop("key").numpy().astype(np.uint32), "pos": legacy.pop("pos")}
    np.random.set_state(legacy)
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def _compare_environment(path: Path, manifest: Mapping[str, Any], other_threads: bool) -> None:
    here = environment()
    if manifest["threads"] != here["threads"] and not other_threads:
        raise UsageError(
            f"checkpoint {path} was written with {manifest['threads']} torch threads, this process has "
            f"{here['threads']}, and sums round differently: set OMP_NUM_THREADS={manifest['threads']}, or accept "
            "another number of threads explicitly"
        )
    changed = [f"{name} {manifest[name]} -> {here[name]}" for name in here if manifest[name] != here[name]]
    if changed:
        warnings.warn(f"resume of {path} is not bitwise: {', '.join(changed)}", stacklevel=3)


def _sweep(folder: Path) -> None:
    """Removes what a killed process left half-written or half-deleted."""
    for name in (".partial-*", ".old-*"):
        for path in folder.glob(name):
            shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
