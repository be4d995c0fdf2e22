"""A tiny pipeline that was run once, with green gates; copies of it to sabotage."""

import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from reference_trainer.gates import GATES, STAGE_GATES
from reference_trainer.pipeline import Pipeline, Show
from reference_trainer.recipe import Recipe, load_recipe

TINY = Path(__file__).parent / "tiny.yaml"


@contextmanager
def _silent(name: str):
    yield lambda done, total, note="": None


class Run:
    """A run folder with what a test asks of it."""

    def __init__(self, folder: Path, recipe: Recipe):
        self.folder, self.recipe = folder, recipe

    def pipeline(self, gates: bool = True) -> Pipeline:
        return Pipeline(self.recipe, self.folder, GATES if gates else {}, Show(_silent, lambda name: None))

    def again(self, stage: str) -> None:
        """Runs everything up to a stage, which is run afresh, behind the gates."""
        shutil.rmtree(self.folder / stage)
        self.pipeline().run(until=stage)

    def judge(self, stage: str) -> dict[str, Any]:
        pipeline = self.pipeline()
        context = next(pipeline.context(item) for item in pipeline.stages if item.name == stage)
        return STAGE_GATES[stage].record(context)


def red(record: dict[str, Any]) -> set[str]:
    return {check["name"] for check in record["checks"] if not check["ok"]}


@pytest.fixture(scope="session", autouse=True)
def _no_baselines(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("RINGLITE_BASELINES", str(tmp_path_factory.mktemp("baselines")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def finished(tmp_path_factory, _no_baselines) -> Path:
    torch.set_num_threads(1)
    run = Run(tmp_path_factory.mktemp("tiny") / "run", load_recipe(str(TINY)))
    run.pipeline().run()
    return run.folder


@pytest.fixture
def run(finished, tmp_path) -> Run:
    shutil.copytree(finished, tmp_path / "run")
    return Run(tmp_path / "run", load_recipe(str(TINY)))


@pytest.fixture
def with_settings(finished, tmp_path) -> Callable[..., Run]:
    """A copy whose recipe has other settings of its gates, which no stage depends on."""

    def make(**gates: Any) -> Run:
        shutil.copytree(finished, tmp_path / "run")
        recipe = load_recipe(str(TINY), {f"gates.{name}": value for name, value in gates.items()})
        return Run(tmp_path / "run", recipe)

    return make
