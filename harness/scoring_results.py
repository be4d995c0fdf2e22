"""A run folder -> scores and verdicts -> results.json."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.card import Card, load_card
from harness.errors import UsageError
from harness.published import DEFAULT_TARGET, Published, Target, find_target
from harness.scoring import score_tally
from harness.scoring_problems import AskedProblem, read_problems
from harness.scoring_tally import Tally
from harness.scoring_types import Score
from harness.store import read_grades, read_manifest, read_samples, write_json
from harness.types import SCHEMA_VERSION, Grade, Sample
from harness.verdict import Summary, Verdict, decide, summarise
from harness.verdict_guards import GUARDS
from harness.verdict_protocol import (
    FIELDS,
    FieldComparison,
    against_published,
    check_accept,
    published_protocol,
    run_protocol,
)

RESULTS = "results.json"
# The scorer that published numbers are compared by, of each kind of grader.
MAIN_SCORERS = {"math": "math-verify", "choice": "choice", "code": "code"}


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark of a run.

    Attributes:
        score: Its score.
        card: Its card; None where the run's benchmark is not among the known ones.
        entry: Its entry in the manifest.
        protocol: Its protocol, flat.
        published: The number it is held against; None where the target has none.
        verdict: None without a number or a card.
        problems: What was asked, where the folder knows.
    """

    score: Score
    card: Card | None
    entry: Mapping[str, Any]
    protocol: Mapping[str, Any]
    published: Published | None
    verdict: Verdict | None
    problems: Sequence[AskedProblem]

    @property
    def title(self) -> str:
        """As it is printed."""
        return self.card.title if self.card else self.score.benchmark


@dataclass(frozen=True, slots=True)
class Results:
    """All that a run came to."""

    folder: Path
    manifest: Mapping[str, Any]
    against: str  # as it was asked for
    target: Target
    accept: tuple[str, ...]
    rows: tuple[Row, ...]
    summary: Summary

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.manifest.get("model", {}).get("name") or "unknown model")


def evaluate(folder: Path, against: str = DEFAULT_TARGET, accept: Sequence[str] = ()) -> Results:
    """Scores every benchmark of a run folder and holds it against a row of published numbers.

    Samples and grades are read as streams. A folder that is still being written can be evaluated at any time.

    Args:
        folder: The run folder.
        against: What ``harness.published.find_target`` takes.
        accept: Protocol fields and guards whose difference is accepted, on the record.

    Raises:
        UsageError: It is no run folder, the target is not known, or a name in ``accept`` is not.
    """
    manifest = read_manifest(folder)
    target = find_target(against)
    asked = read_problems(folder)
    tallies = {task: Tally(problem.id for problem in asked.get(task, ())) for task in manifest["tasks"]}
    counts = _extent(manifest, asked)
    for sample in read_samples(folder):
        if counts(sample):
            tallies[sample.task].add_sample(sample)
    for grade in read_grades(folder) if (folder / "grades.jsonl").exists() else ():
        if counts(grade):
            tallies[grade.task].add_grade(grade)
    rows = tuple(_row(manifest, task, tally, target, accept, asked.get(task, ())) for task, tally in tallies.items())
    verdicts = [row.verdict for row in rows if row.verdict]
    known = {*FIELDS, *GUARDS, *(name for row in rows for name in row.protocol)}
    check_accept(accept, known)
    return Results(folder, manifest, against, target, tuple(accept), rows, summarise(verdicts))


def _extent(
    manifest: Mapping[str, Any], asked: Mapping[str, Sequence[AskedProblem]]
) -> Callable[[Sample | Grade], bool]:
    """Whether a record belongs to what was asked last: a folder keeps what a larger n or limit has left in it."""
    most = {task: entry["extent"]["n"] for task, entry in manifest["tasks"].items()}
    ids = {task: {problem.id for problem in asked[task]} if task in asked else None for task in most}

    def counts(record: Sample | Grade) -> bool:
        if record.task not in most or record.index >= most[record.task]:
            return False
        wanted = ids[record.task]
        return wanted is None or record.problem_id in wanted

    return counts


def _row(
    manifest: Mapping[str, Any],
    task: str,
    tally: Tally,
    target: Target,
    accept: Sequence[str],
    asked: Sequence[AskedProblem],
) -> Row:
    entry = manifest["tasks"][task]
    name = entry["benchmark"]
    try:
        card: Card | None = load_card(name)
    except UsageError:
        card = None
    scorer = _main_scorer(card, entry, tally.scorers)
    score = score_tally(
        tally,
        name,
        task,
        scorer,
        {problem.id: problem.metadata for problem in asked},
        entry["extent"]["num_problems"],
        entry["extent"]["total_problems"],
    )
    protocol = run_protocol(manifest, task, scorer)
    published = target.scores.get(name)
    verdict = None
    if card is not None and published is not None:
        compared = against_published(protocol, published_protocol(published, card), accept)
        verdict = decide(score, published, card.margin, compared, protocol.get("temperature"), accept)
    return Row(score, card, entry, protocol, published, verdict, asked)


def _main_scorer(card: Card | None, entry: Mapping[str, Any], graded: Iterable[str]) -> str:
    seen = list(graded)
    usual = MAIN_SCORERS[card.grader] if card else ""
    if usual in seen or not (seen or entry["scorers"]):
        return usual or "unknown"
    declared = [str(name) for name in entry["scorers"]]
    return [*(name for name in declared if name in seen), *seen, *declared][0]


def write_results(results: Results) -> Path:
    """Writes results.json into the run folder, in one step, and returns its path."""
    path = results.folder / RESULTS
    write_json(path, results_json(results))
    return path


def results_json(results: Results) -> dict[str, Any]:
    """The results as JSON: scores as shares of 1, verdicts in points, null where a figure is undefined."""
    manifest = results.manifest
    content = {
        "schema_version": SCHEMA_VERSION,
        "ringlite": manifest.get("ringlite"),
        "model": manifest.get("model"),
        "engine": manifest.get("engine"),
        "seed": manifest.get("seed"),
        "against": {"name": results.against, "title": results.target.title},
        "accepted": list(results.accept),
        "summary": {"line": results.summary.line, "outcome": results.summary.outcome},
        "benchmarks": [_row_json(row) for row in results.rows],
    }
    return dict(_finite(content))


def _row_json(row: Row) -> dict[str, Any]:
    score = asdict(row.score)
    return {"title": row.title, **score, "protocol": row.protocol, "verdict": _verdict_json(row.verdict)}


def _verdict_json(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    more = verdict.more_samples
    return {
        **{
            name: getattr(verdict, name)
            for name in ("outcome", "reason", "advice", "score", "difference", "se", "margin")
        },
        "published": {
            **{name: getattr(verdict.published, name) for name in ("model", "value", "place", "quoted", "note")},
            "printed": verdict.published.text,
            "samples": verdict.published.samples,
            "samples_source": verdict.published.samples_source,
        },
        "interval": asdict(verdict.interval),
        "zero_excluded": verdict.zero_excluded,
        "p_equivalent": verdict.p_equivalent,
        "p_different": verdict.p_different,
        "more_samples": None if math.isinf(more) else more,
        "undecidable": math.isinf(more),
        "smallest_margin": verdict.smallest_margin,
        "differences": [_field_json(item) for item in verdict.protocol if item.state in ("differs", "not recorded")],
        "not_stated": [item.field for item in verdict.protocol if item.state == "not stated"],
        "guards": [asdict(guard) for guard in verdict.guards],
        "accepted": list(verdict.accepted),
    }


def _field_json(item: FieldComparison) -> dict[str, Any]:
    return {**asdict(item), "blocks": item.blocks}


def _finite(value: Any) -> Any:
    """NaN and infinity are no JSON: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def dumps(results: Results) -> str:
    """results.json as text."""
    return json.dumps(results_json(results), indent=2, ensure_ascii=True)
