"""Scores of a part of a stored run: only the problems of a contest window, say."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from harness.card import Card
from harness.loaders.livecodebench import in_window
from harness.scoring import score_run
from harness.scoring_types import Score
from harness.store import read_grades, read_samples
from harness.types import Problem


def window_problems(card: Card, problems: Collection[Problem]) -> dict[str, Mapping[str, Any]]:
    """Id -> metadata of the problems inside the card's own contest window; empty if the card has none."""
    if card.window is None:
        return {}
    dated = {problem.id: problem.metadata for problem in problems if problem.metadata.get("contest_date")}
    return {name: known for name, known in dated.items() if in_window(known["contest_date"], card.window)}


def selection_score(
    folder: Path, card: Card, task: str, scorer: str, problems: Mapping[str, Mapping[str, Any]]
) -> Score:
    """Scores the stored samples of some problems (id -> metadata) of a task by one scorer."""
    return score_run(
        (sample for sample in read_samples(folder) if sample.problem_id in problems),
        (grade for grade in read_grades(folder) if grade.problem_id in problems),
        benchmark=card.name,
        task=task,
        scorer=scorer,
        problem_ids=list(problems),
        metadata=problems,
        expected_problems=len(problems),
    )
