"""Verification of answers, pass rates of models, difficulty, and selection by them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import CheckFailed, UsageError, nearest
from harness.importers.reader import generations
from harness.store import read_grades
from reference_trainer.curate.recipe import Difficulty, Model, Select
from reference_trainer.curate.row import Decision, Row, gold_of
from reference_trainer.curate.verdicts import VerdictLog
from reference_trainer.tasks.verifier import Attempt


@dataclass(slots=True)
class Rate:
    """How often a model solved a problem."""

    right: int = 0
    samples: int = 0

    @property
    def value(self) -> float:
        """Share of right responses; ``samples`` must not be 0."""
        return self.right / self.samples


def verify_answers(rows: Sequence[Row], log: VerdictLog) -> Iterator[Decision]:
    """Drops rows whose gold cannot be graded, or whose own solution comes to another answer.

    An answer can be graded if the verifier takes the answer itself, boxed, for right. A gold for code can be graded if
    it has cases; where the row's ``answer`` or ``solution`` is a program, it has to pass them.
    """
    checks = [(row, kind, attempt) for row in rows for kind, attempt in _checks(row)]
    verdicts = log.verify(attempt for _, _, attempt in checks if attempt is not None)
    failed: dict[str, str] = {}
    for row, kind, attempt in checks:
        if attempt is None or not next(verdicts):
            failed.setdefault(row["id"], kind)
    for row in rows:
        yield Decision(row, failed.get(row["id"]))


def _checks(row: Row) -> Iterator[tuple[str, Attempt | None]]:
    """What has to be right of a row: (reason to drop it otherwise, attempt; None: cannot be graded at all)."""
    gold, answer, solution = gold_of(row), row["answer"], row.get("solution")
    unverifiable, contradicted = "unverifiable_answer", "solution_disagrees"
    if isinstance(gold, Mapping) and "digit" not in gold:
        if not isinstance(gold.get("cases"), list) or not gold["cases"]:
            yield unverifiable, None
        elif isinstance(answer, str) and answer.strip():
            yield contradicted, Attempt(gold, _fenced(answer))
        if isinstance(solution, str) and gold.get("cases"):
            yield contradicted, Attempt(gold, _fenced(solution))
        return
    texts = gold["digit"] if isinstance(gold, Mapping) else gold
    first = texts[0] if isinstance(texts, list) and texts else texts
    usable = isinstance(first, str) and bool(first.strip())
    usable = usable and (isinstance(texts, str) or all(isinstance(text, str) and text.strip() for text in texts))
    yield unverifiable, Attempt(gold, f"\\boxed{{{first}}}") if usable else None
    if usable and isinstance(solution, str) and "\\boxed" in solution:
        yield contradicted, Attempt(gold, solution)


def _fenced(program: str) -> str:
    return program if "```" in program else f"```\n{program}\n```"


def pass_rates(model: Model, rows: Sequence[Row], log: VerdictLog) -> dict[str, Rate]:
    """Problem id -> rate, for the rows that the model has responses to.

    Raises:
        UsageError: A run or a file cannot be read, a run has no grades of the scorer, or none is of a row of the input.
    """
    rates: dict[str, Rate] = {}
    golds = {row["id"]: gold_of(row) for row in rows}
    seen = 0
    for folder in model.runs:
        for problem, correct in _graded(folder, model.scorer):
            seen += 1
            if problem in golds:
                _count(rates, problem, correct)
    for path in model.generations:
        found = [
            (generation.problem, Attempt(golds[generation.problem], generation.response))
            for _, generation in generations(path)
            if generation.problem is not None and generation.problem in golds
        ]
        seen += len(found)
        for (problem, _), correct in zip(found, log.verify(attempt for _, attempt in found), strict=True):
            _count(rates, problem, correct)
    if rows and not rates:
        raise UsageError(
            f"model '{model.name}': none of its {seen} responses is to a problem of the input; compare the ids"
        )
    return rates


def _count(rates: dict[str, Rate], problem: str, correct: bool) -> None:
    rate = rates.setdefault(problem, Rate())
    rate.right += correct
    rate.samples += 1


def _graded(folder: Path, scorer: str | None) -> Iterator[tuple[str, bool]]:
    names: set[str] = set()
    wanted = {scorer} if scorer else {"strict", "code"}
    for grade in read_grades(folder):
        names.add(grade.scorer)
        if grade.scorer in wanted:
            yield grade.problem_id, grade.correct
    if not names & wanted:
        hint = nearest(scorer or "strict", names)
        known = ", ".join(sorted(names)) or "none"
        raise UsageError(f"{folder} has no grades of {' or '.join(sorted(wanted))}{hint}; it has {known}")


def annotate_rates(
    rows: Sequence[Row], rates: Mapping[str, Mapping[str, Rate]], min_agreeing: int
) -> Iterator[Decision]:
    """Adds ``pass_rates``: model -> right, samples, rate; drops answers that too few responses agree with."""
    for row in rows:
        known = {name: found[row["id"]] for name, found in rates.items() if row["id"] in found}
        shown = {name: {"right": r.right, "samples": r.samples, "rate": r.value} for name, r in known.items()}
        agreeing = sum(rate.right for rate in known.values())
        reason = "too_few_agree" if agreeing < min_agreeing else None
        yield Decision({**row, "pass_rates": shown}, reason, {"agreeing": agreeing} if reason else {})


def annotate_difficulty(rows: Sequence[Row], settings: Difficulty) -> Iterator[Decision]:
    """Adds ``difficulty``, a level from 1; null where the model has no response."""
    for row in rows:
        rate = _rate(row, settings.model)
        level = None if rate is None else 1 + sum(rate.value < bound for bound in settings.bounds)
        yield Decision({**row, "difficulty": level})


def select(rows: Sequence[Row], settings: Select) -> Iterator[Decision]:
    """Drops problems that are always solved by the model, and those that no model ever solves.

    Raises:
        CheckFailed: ``unknown: refuse``, and problems have too few responses.
    """
    unknown = [row["id"] for row in rows if not _enough(row, settings)]
    if unknown and settings.unknown == "refuse":
        raise CheckFailed(
            f"{len(unknown)} of {len(rows)} problems, '{unknown[0]}' first, have fewer than {settings.min_samples} "
            f"responses of model '{settings.model}': sample more, or set select.unknown to drop or keep"
        )
    few: Collection[str] = set(unknown)
    for row in rows:
        if row["id"] in few:
            yield Decision(row, "too_few_responses" if settings.unknown == "drop" else None)
            continue
        rates = [rate for name in (settings.model, *settings.others) if (rate := _rate(row, name)) is not None]
        if rates[0].right == rates[0].samples:
            yield Decision(row, "always_solved")
        else:
            yield Decision(row, None if any(rate.right for rate in rates) else "never_solved")


def _enough(row: Row, settings: Select) -> bool:
    rate = _rate(row, settings.model)
    return rate is not None and rate.samples >= settings.min_samples


def _rate(row: Mapping[str, Any], model: str) -> Rate | None:
    found = row.get("pass_rates", {}).get(model)
    return Rate(found["right"], found["samples"]) if found else None
