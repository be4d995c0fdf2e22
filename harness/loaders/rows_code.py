"""Rules of the code benchmarks; ``Problem.gold`` is the mapping that ``harness.graders.code`` documents."""

from collections.abc import Iterable
from typing import Any

from harness.card import Card
from harness.errors import UsageError
from harness.loaders.livecodebench import function_name
from harness.loaders.read import RawRow
from harness.loaders.row import Row


def humaneval(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """HumanEval: prompt, tests and entry point, as they come."""
    result = []
    for number, raw in enumerate(rows, 1):
        _require(card, raw, number, "task_id", "prompt", "entry_point", "test", "canonical_solution")
        gold = {"kind": "humaneval"}
        gold |= {name: raw[name] for name in ("prompt", "entry_point", "test", "canonical_solution")}
        identity = [raw["entry_point"], raw["test"], raw["canonical_solution"]]
        prompt = raw["prompt"]
        result.append(
            Row(raw["task_id"], prompt, gold, identity, fields={"entry_point": raw["entry_point"]}, prefix=prompt)
        )
    return result


def evalplus(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """HumanEval+ and MBPP+ release files: inputs and a canonical solution that yields the expected outputs."""
    dataset = "mbpp" if card.name.startswith("mbpp") else "humaneval"
    names = ("prompt", "entry_point", "canonical_solution", "base_input", "plus_input", "atol", "contract")
    result = []
    for number, raw in enumerate(rows, 1):
        _require(card, raw, number, "task_id", *names)
        gold = {"kind": "evalplus", "dataset": dataset, "task_id": raw["task_id"]}
        gold |= {name: raw[name] for name in names}
        identity = [raw[name] for name in names[1:]]
        # MBPP's prompt is a docstring that a program follows; HumanEval's is a function that is continued.
        prefix = raw["prompt"]
        fields = {"entry_point": raw["entry_point"]}
        result.append(Row(raw["task_id"], raw["prompt"], gold, identity, fields=fields, prefix=prefix))
    return result


def livecodebench(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """LiveCodeBench: tests stay encoded until they are needed; a problem with starter code is a function to call."""
    result = []
    for number, raw in enumerate(rows, 1):
        _require(card, raw, number, "question_id", "question_content", "contest_date", "difficulty", "platform")
        starter = raw.get("starter_code") or ""
        name = function_name(raw.get("metadata"), starter)
        gold: dict[str, Any] = {
            "kind": "livecodebench",
            "function": name,
            "starter_code": starter,
            "public_tests": raw.get("public_test_cases"),
            "private_tests": raw.get("private_test_cases"),
        }
        date = _iso(raw["contest_date"])
        identity = [raw["platform"], date, raw["difficulty"], starter, name]
        metadata = {
            "difficulty": raw["difficulty"],
            "platform": raw["platform"],
            "contest_date": date,
            "month": date[:7],
            "title": raw.get("question_title"),
            "test_type": "functional" if name else "stdin",
        }
        variant = "starter_code" if starter else None
        fields = {"starter_code": starter}
        question = raw["question_content"]
        result.append(Row(str(raw["question_id"]), question, gold, identity, fields, metadata, variant=variant))
    return result


def _iso(date: Any) -> str:
    return date.isoformat() if hasattr(date, "isoformat") else str(date)


def _require(card: Card, raw: RawRow, number: int, *names: str) -> None:
    missing = [name for name in names if raw.get(name) is None]
    if missing:
        raise UsageError(
            f"{card.name}: row {number} ({raw.get('task_id') or raw.get('question_id') or 'without id'}) lacks "
            f"{', '.join(missing)}"
        )
