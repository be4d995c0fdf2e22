"""One run of the real pipeline, and copies of it to damage."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from reference_trainer.pipeline import Pipeline, Show
from reference_trainer.recipe import load_recipe

Copy = Callable[..., Path]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    recipe = load_recipe(str(Path(__file__).with_name("tiny.yaml")))
    quiet = Show(lambda name: nullcontext(lambda done, total, note="": None), lambda name: None)
    Pipeline(recipe, folder, {}, quiet).run()
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Copy:
    """``copy()`` is the finished run again; ``copy(drop=[...])`` lacks these files and folders."""

    def make(name: str = "copy", drop: tuple[str, ...] = ()) -> Path:
        folder = shutil.copytree(finished, tmp_path / name)
        for inner in drop:
            path = folder / inner
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return folder

    return make
