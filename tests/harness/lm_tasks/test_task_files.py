"""The lm-eval task files are those that the cards give."""

from pathlib import Path

from harness.card import card_names
from harness.lm_tasks.generate import main, task_files

FOLDER = Path(__file__).parents[3] / "benchmarks" / "lm_eval"


def test_the_checked_in_files_are_the_generated_ones() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml")}
    assert found == task_files(), "run: python -m harness.lm_tasks.generate benchmarks/lm_eval"


def test_every_benchmark_has_a_task() -> None:
    assert set(task_files()) == {f"ringlite_{name}.yaml" for name in card_names()}


def test_the_generator_writes_what_it_says(tmp_path: Path) -> None:
    main([str(tmp_path / "new")])
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(task_files())
