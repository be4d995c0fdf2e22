"""What an lm-eval task of ours is made of: documents from a card, all responses kept, our graders, our errors."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.card import Card, load_card
from harness.errors import UsageError
from harness.lm_tasks.grading import grade_sample
from harness.problems import DATA_VARIABLE, LoadOptions, load_problems
from harness.statistics import Counts
from harness.statistics import se_samp as standard_error
from harness.types import Problem, Sample

# Options that lm-eval users pass by --metadata '{"data": "DIR", "scorer": "math-verify"}'.
_OPTIONS = ("data", "gpqa_password", "release", "prompt", "scorer")


def dataset(card: str, **given: Any) -> Mapping[str, Any]:
    """The ``custom_dataset`` of a task: one document a problem, in the order of the card.

    Args:
        card: Name of the benchmark.
        given: lm-eval's metadata; ``data``, ``gpqa_password``, ``release``, ``prompt`` and ``scorer`` are read.

    Returns:
        ``{"test": datasets.Dataset}`` with the columns id, prompt, target, card, scorer and problem (JSON).

    Raises:
        UsageError: No such card, or its rows cannot be had.
    """
    import datasets

    loaded = load_card(card)
    chosen = {key: given[key] for key in _OPTIONS if given.get(key) is not None}
    folder = chosen.get("data") or os.environ.get(DATA_VARIABLE)
    options = LoadOptions(
        gpqa_password=chosen.get("gpqa_password"), release=chosen.get("release"), prompt=chosen.get("prompt")
    )
    problems = load_problems(loaded, Path(folder) if folder else None, options)
    scorer = chosen.get("scorer", "")
    return {"test": datasets.Dataset.from_list([_document(loaded, problem, scorer) for problem in problems])}


def _document(card: Card, problem: Problem, scorer: str) -> dict[str, str]:
    gold = problem.gold
    shown = gold if isinstance(gold, str) else json.dumps(gold) if isinstance(gold, list) else ""
    return {
        "id": problem.id,
        "prompt": card.messages(problem)[-1]["content"],
        "target": shown,
        "card": card.name,
        "scorer": scorer,
        "problem": json.dumps([problem.prompt, problem.gold, problem.metadata, problem.prefix]),
    }


def all_responses(responses: Iterable[Sequence[str]], documents: Any) -> Iterator[list[str]]:
    """Filter that keeps every response of a document; lm-eval's default keeps the first and drops the others."""
    return (list(of_document) for of_document in responses)


def process_results(document: Mapping[str, str], results: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Grades all responses to one document.

    Returns:
        ``avg_at_n``: share of right responses; ``se_samp``: (right, responses), for the aggregation of that name;
        ``no_answer``: share of responses without one.
    """
    card = load_card(document["card"])
    prompt, gold, metadata, prefix = json.loads(document["problem"])
    problem = Problem(document["id"], prompt, gold, metadata, prefix)
    responses = results[0]
    if isinstance(responses, str):
        raise UsageError(
            f"task ringlite_{card.name}: its filter was replaced by one that keeps a single response; use the filter "
            f"'all' of the task file"
        )
    grades = [
        grade_sample(
            card, problem, Sample("lm-eval", card.name, problem.id, i, None, text, "unknown"), document["scorer"]
        )
        for i, text in enumerate(responses)
    ]
    right = sum(grade.correct for grade in grades)
    return {
        "avg_at_n": right / len(grades),
        "se_samp": (right, len(grades)),
        "no_answer": sum(grade.status == "no_answer" for grade in grades) / len(grades),
    }


def se_samp(counts: Sequence[tuple[int, int]]) -> float:
    """Standard error of avg@n over new samples of the same problems; see ``harness.statistics.se_samp``."""
    return standard_error(Counts.of([right for right, _ in counts], [total for _, total in counts]))
