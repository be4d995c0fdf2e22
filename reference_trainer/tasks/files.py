"""Toy data on disk: problems by set, demonstrations, the tokenizer, and held-out sets as the harness reads them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.loaders.read import read_rows
from harness.store import write_json
from reference_trainer.tasks.problem import DOMAINS, SPLITS, Domain, Split, ToyProblem
from reference_trainer.tasks.problems import problem_set
from reference_trainer.tasks.programs import ENTRY_POINT
from reference_trainer.tasks.teacher import EQUAL_SHARES, HASTY_SHARE, demonstrations
from reference_trainer.tasks.tokenizer import save_tokenizer
from reference_trainer.tasks.verifier import toy_gold

SIZES: dict[Split, int] = {"train": 1000, "validation": 100, "heldout": 200}
TOKENIZER, DEMONSTRATIONS = "tokenizer", "sft.jsonl"
HELDOUT_SEED = 0
"""Held-out sets are the same for every seed of training: a benchmark is one set."""


def write_toy(
    folder: Path,
    seed: int,
    sizes: Mapping[Split, int] = SIZES,
    demonstration_count: int = 40_000,
    hasty_share: float = HASTY_SHARE,
    shares: Mapping[Domain, float] = EQUAL_SHARES,
) -> dict[str, int]:
    """Writes all toy data; the same arguments give the same bytes.

    ``<domain>/<set>.jsonl`` are problems (``read_problems``, ``ringlite train curate``), ``sft.jsonl`` prompt and
    response of the teacher, ``tokenizer/`` a tokenizer for ``AutoTokenizer``, ``toy_<domain>.jsonl`` the held-out sets
    as the rows of the benchmark cards.

    Returns:
        File name -> number of rows.

    Raises:
        UsageError: A size cannot be had, or the folder cannot be written.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for domain in DOMAINS:
        for split in SPLITS:
            problems = problem_set(domain, split, sizes[split], HELDOUT_SEED if split == "heldout" else seed)
            rows[f"{domain}/{split}.jsonl"] = [problem_row(problem) for problem in problems]
            if split == "heldout":
                rows[f"toy_{domain}.jsonl"] = [benchmark_row(problem) for problem in problems]
    rows[DEMONSTRATIONS] = [
        {
            "problem_id": shown.problem.id,
            "domain": shown.problem.domain,
            "level": shown.problem.level,
            "prompt": shown.problem.question,
            "response": shown.response,
            "teacher": shown.teacher,
        }
        for shown in demonstrations(demonstration_count, seed, hasty_share, shares)
    ]
    try:
        save_tokenizer(folder / TOKENIZER)
        for name, content in rows.items():
            _write(folder / name, content)
        counts = {name: len(content) for name, content in rows.items()}
        write_json(folder / "toy.json", {"seed": seed, "hasty_share": hasty_share, "rows": counts})
    except OSError as error:
        raise UsageError(f"cannot write the toy data to {folder}: {error.strerror or error}") from error
    return counts


def problem_row(problem: ToyProblem) -> dict[str, Any]:
    """A problem as a line of JSON; ``gold`` is what the verifier compares with."""
    return {
        "id": problem.id,
        "domain": problem.domain,
        "level": problem.level,
        "question": problem.question,
        "answer": problem.answer,
        "gold": toy_gold(problem),
        "canonical": problem.canonical,
    }


def benchmark_row(problem: ToyProblem) -> dict[str, Any]:
    """A held-out problem as the harness's row rules ``math500`` and ``humaneval`` read it."""
    if problem.domain != "code":
        answer = {"problem": problem.question, "answer": problem.answer, "level": problem.level}
        return {"unique_id": problem.id, **answer}
    checks = "".join(f"    assert candidate({x}) == {y}\n" for x, y in problem.cases)
    return {
        "task_id": problem.id,
        "prompt": problem.question,
        "entry_point": ENTRY_POINT,
        "canonical_solution": problem.answer,
        "test": f"def check(candidate):\n{checks}",
    }


def read_problems(path: Path, domain: Domain | None = None) -> list[ToyProblem]:
    """Problems of a file of ``write_toy``, or of what curation kept of it.

    Args:
        path: JSON Lines of ``problem_row``; further columns are passed over.
        domain: Leave out the others; None: all.

    Raises:
        UsageError: The file cannot be read, or a row is no toy problem.
    """
    found = []
    for number, row in enumerate(read_rows(path), 1):
        try:
            cases = tuple((int(case[0][0]), int(case[1])) for case in row["gold"].get("cases", ()))
            problem = ToyProblem(
                row["domain"], row["question"], row["canonical"], int(row["level"]), row["answer"], cases
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UsageError(f"{path}, row {number}, is no toy problem ({error!r}); write it with write_toy") from error
        if domain in (None, problem.domain):
            found.append(problem)
    return found


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.partial")
    with scratch.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    scratch.replace(path)
