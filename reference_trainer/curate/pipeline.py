"""Curation: the phases of Fig. 2 in their order, over JSON Lines, with counts at every step; resumable."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.loaders import read
from harness.store import write_json
from harness.store_lock import FolderLock
from reference_trainer.curate.cleanse import cleanse
from reference_trainer.curate.decontaminate import decontaminate, load_evaluation
from reference_trainer.curate.deduplicate import deduplicate_exactly, deduplicate_nearly
from reference_trainer.curate.phase import Phase, file_digest, read_rows, run_phase, write_rows
from reference_trainer.curate.recipe import Recipe
from reference_trainer.curate.row import Decision, Row, uniform
from reference_trainer.curate.verdicts import VerdictLog
from reference_trainer.curate.verify import (
    annotate_difficulty,
    annotate_rates,
    pass_rates,
    select,
    verify_answers,
)

CURATED, REPORT, PHASES, INPUT, VERDICTS = "curated.jsonl", "report.json", "phases", "00-input.jsonl", "verdicts.jsonl"

Progress = Callable[[str, dict[str, Any], bool], None]


def curate(
    source: Path,
    folder: Path,
    recipe: Recipe,
    *,
    data: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Curates ``source`` into ``folder/curated.jsonl``.

    A phase that was run before with the same settings on the same rows is not run again, so the same call after a
    SIGKILL goes on where it ended, and a changed recipe runs only what it changes.

    Args:
        source: JSON Lines (or any file of rows that the harness reads).
        folder: ``phases/`` holds rows and decisions of each phase.
        recipe: What to do.
        data: Folder with benchmark rows, for decontamination; None: RINGLITE_DATA.
        workers: Processes that verify; None: the usable CPUs.
        progress: Called after each phase with its name, its counts and whether it was done already.

    Returns:
        The content of ``report.json``: counts of every phase, and what decontamination hit.

    Raises:
        UsageError: Bad input, or somebody else writes to the folder.
        CheckFailed: ``select`` lacks responses.
    """
    phases_folder = folder / PHASES
    try:
        phases_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; name another folder") from error
    lock = FolderLock(folder)
    try:
        current = phases_folder / INPUT
        write_rows(current, uniform(read.read_rows(source), recipe.columns, str(source)))
        records = []
        with VerdictLog(folder / VERDICTS, workers) as log:
            for number, phase in enumerate(_phases(recipe, log, data), 1):
                current, record, done = run_phase(phase, number, current, phases_folder)
                records.append(record)
                if progress:
                    progress(phase.name, record["counts"], done)
        write_rows(folder / CURATED, read_rows(current))
        report = {
            "schema_version": 1,
            "input": file_digest(source),
            "output": file_digest(folder / CURATED),
            "recipe": json.loads(recipe.model_dump_json()),
            "phases": [{"phase": record["phase"], **record["counts"]} for record in records],
            "contamination": _contamination(phases_folder, records),
        }
        write_json(folder / REPORT, report)
        return report
    finally:
        lock.release()


def _phases(recipe: Recipe, log: VerdictLog, data: Path | None) -> Iterator[Phase]:
    """The phases that the recipe asks for, in their order; a later one is made when the ones before have run."""
    if (rules := recipe.cleanse) is not None:
        yield Phase("cleanse", _plain(rules), lambda rows: cleanse(rows, rules))
    if (same := recipe.deduplicate) is not None:
        yield Phase("deduplicate_exactly", {}, deduplicate_exactly)
        if same.near:
            yield Phase("deduplicate_nearly", _plain(same), lambda rows: deduplicate_nearly(rows, same))
    if (clean := recipe.decontaminate) is not None:
        evaluation = load_evaluation(clean, recipe.columns, data)
        settings = {"n": clean.n, "min_ngrams": clean.min_ngrams, "evaluation": evaluation.digest}
        yield Phase("decontaminate", settings, lambda rows: decontaminate(rows, evaluation, clean))
    if recipe.verify is not None:
        yield Phase("verify_answers", {}, lambda rows: verify_answers(rows, log))
    if recipe.models:
        yield Phase("pass_rates", _rate_settings(recipe), lambda rows: _with_rates(rows, recipe, log))
    if (levels := recipe.difficulty) is not None:
        yield Phase("difficulty", _plain(levels), lambda rows: annotate_difficulty(rows, levels))
    if (chosen := recipe.select) is not None:
        yield Phase("select", _plain(chosen), lambda rows: select(rows, chosen))


def _with_rates(rows: list[Row], recipe: Recipe, log: VerdictLog) -> Iterator[Decision]:
    rates = {model.name: pass_rates(model, rows, log) for model in recipe.models}
    return annotate_rates(rows, rates, recipe.verify.min_agreeing if recipe.verify else 0)


def _rate_settings(recipe: Recipe) -> dict[str, Any]:
    """What pass rates depend on: the content of runs and files, not where they are."""
    models = [
        [model.name, model.scorer, [file_digest(p) for p in model.runs], [file_digest(p) for p in model.generations]]
        for model in recipe.models
    ]
    return {"models": models, "min_agreeing": recipe.verify.min_agreeing if recipe.verify else 0}


def _contamination(folder: Path, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that were dropped with the evaluation problems that they hit: ids and counts, never a text."""
    for number, record in enumerate(records, 1):
        if record["phase"] == "decontaminate":
            return list(read_rows(folder / f"{number:02d}-decontaminate.dropped.jsonl"))
    return []


def _plain(settings: Any) -> Any:
    return settings.model_dump(mode="json")
