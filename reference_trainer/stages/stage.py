"""What a stage is: a function from the outputs of earlier stages and a recipe to files, and the manifest of both."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from harness.errors import CheckFailed, UsageError
from harness.store import write_json
from reference_trainer.checkpoint import environment
from reference_trainer.recipe import Recipe
from reference_trainer.team import Team

SCHEMA_VERSION = 1
MANIFEST, STARTED = "manifest.json", "started.json"
SHARED_SETTINGS = {"seed", "threads", "model", "data", "engine", "rollout_engine"}


class StepProgress(Protocol):
    """Told after every step of a stage."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` steps; ``note`` has a figure or two."""


@dataclass(frozen=True)
class StageRun:
    """One stage of one run.

    Attributes:
        name: Of the stage.
        recipe: Of the run.
        run: Folder of the run; every stage has a folder of its name in it.
        progress: Told after every step.
        team: The processes of the run.
    """

    name: str
    recipe: Recipe
    run: Path
    progress: StepProgress
    team: Team = field(default_factory=Team)

    @property
    def folder(self) -> Path:
        """Where this stage writes."""
        return self.run / self.name

    @property
    def seed(self) -> int:
        """Seed of this stage alone, derived from the recipe's."""
        return derived_seed(self.recipe.seed, self.name)

    def of(self, stage: str, name: str = "") -> Path:
        """An output of an earlier stage."""
        return self.run / stage / name


@dataclass(frozen=True)
class Stage:
    """A stage as the pipeline sees it.

    Attributes:
        name: Name and folder.
        section: Its settings in a recipe; None leaves the stage out.
        needs: Stages that it reads, where the recipe has them.
        outputs: Files and folders that it leaves, as glob patterns; anything else in its folder is scratch or a log.
        work: Does it; picks up where a killed call of the same settings and inputs ended.
        trains: Whether all processes of the run work on it; the others wait for rank 0.
    """

    name: str
    section: Callable[[Recipe], Any]
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    work: Callable[[StageRun], None]
    trains: bool = False


def derived_seed(seed: int, name: str) -> int:
    """31 bits that depend on the recipe's seed and a name."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def run_stage(stage: Stage, context: StageRun, needs: Iterable[str]) -> bool:
    """Brings a stage up to date; all processes of the run call this.

    Args:
        stage: Which.
        context: Where and how.
        needs: Those of ``stage.needs`` that the recipe has.

    Returns:
        Whether anything had to be done.

    Raises:
        UsageError: A stage that this one reads has not been run.
    """
    needed, team = list(needs), context.team
    if not team.first(partial(_begin, stage, context, needed)):
        return False
    if stage.trains:
        stage.work(context)
    else:
        team.first(partial(stage.work, context))
    team.first(partial(_finish, stage, context, needed))
    return True


def _begin(stage: Stage, context: StageRun, needs: list[str]) -> bool:
    """Makes the stage's folder ready; whether anything has to be done."""
    key = stage_key(stage, context, needs)
    if is_done(context.folder, key):
        return False
    if context.folder.exists() and _read(context.folder / STARTED) != key:
        shutil.rmtree(context.folder)  # of other settings or inputs: nothing in it can be used
    context.folder.mkdir(parents=True, exist_ok=True)
    write_json(context.folder / STARTED, key)
    return True


def _finish(stage: Stage, context: StageRun, needs: list[str]) -> None:
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "stage": stage.name,
        **stage_key(stage, context, needs),
        "outputs": file_digests(context.folder, stage.outputs),
        "environment": environment(),
    }
    write_json(context.folder / MANIFEST, manifest)


def stage_key(stage: Stage, context: StageRun, needs: Iterable[str]) -> dict[str, Any]:
    """Settings and inputs that decide what the stage gives, as they read back from JSON."""
    inputs = {}
    for name in needs:
        manifest = _read(context.run / name / MANIFEST)
        if manifest is None:
            raise UsageError(f"stage {stage.name} reads what stage {name} leaves in {context.run}: run that one first")
        inputs[name] = manifest["outputs"]
    section = stage.section(context.recipe)
    settings = context.recipe.model_dump(mode="json", include=SHARED_SETTINGS)
    settings["section"] = section.model_dump(mode="json") if hasattr(section, "model_dump") else section
    key: dict[str, Any] = json.loads(json.dumps({"settings": settings, "inputs": inputs}))
    return key


def is_done(folder: Path, key: dict[str, Any]) -> bool:
    """Whether ``folder`` holds the finished stage of this key."""
    manifest = _read(folder / MANIFEST)
    return isinstance(manifest, dict) and all(manifest.get(name) == value for name, value in key.items())


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished stage.

    Raises:
        UsageError: The stage has not been finished.
    """
    manifest = _read(folder / MANIFEST)
    if manifest is None:
        raise UsageError(f"{folder} holds no finished stage: run `ringlite train` first")
    return manifest


def check_outputs(folder: Path) -> None:
    """Compares the files of a stage with its manifest.

    Raises:
        CheckFailed: A file is missing, new, or has other bytes.
    """
    stated = read_manifest(folder)["outputs"]
    found = file_digests(folder, sorted({name.split("/")[0] for name in stated}))
    for name in sorted(stated.keys() | found.keys()):
        if stated.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not of it" if name not in stated else "has other bytes"
            raise CheckFailed(f"{folder / name} {what} (by {MANIFEST}): remove {folder} to run the stage again")


def file_digests(folder: Path, outputs: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every file of these outputs, by its path below ``folder``; missing outputs have none."""
    digests = {}
    for place in (place for output in outputs for place in sorted(folder.glob(output))):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                with path.open("rb") as content:
                    digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(content, "sha256").hexdigest()
    return digests


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(f"{path} is damaged ({error}): remove its folder to run the stage again") from None
    return values
