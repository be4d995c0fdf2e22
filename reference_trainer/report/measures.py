"""The parts of the page about data, curation and selection: counts, and what the choice of the epoch rests on."""

from collections.abc import Sequence
from html import escape
from typing import Any

from harness.report.markup import table
from harness.report.wording import number
from reference_trainer.recipe import Recipe
from reference_trainer.report.chart import Level, Series, figure
from reference_trainer.report.panel import grid, guards, panel
from reference_trainer.report.run_files import RunFiles, StageFiles, as_figure, read_object
from reference_trainer.tasks import DOMAINS
from reference_trainer.tasks.files import DEMONSTRATIONS
from reference_trainer.tasks.problem import SPLITS


def data_section(stage: StageFiles) -> str:
    """Rows of every file of the toy data."""
    damage: list[str] = []
    counts = read_object(stage.folder / "toy.json", damage).get("rows")
    if not isinstance(counts, dict):
        return guards(damage) + _nothing("The data has not been written.")
    rows = [(domain, *(_count(counts.get(f"{domain}/{split}.jsonl")) for split in SPLITS)) for domain in DOMAINS]
    shown = f"{_count(counts.get(DEMONSTRATIONS))} demonstrations of the teacher."
    return table(("Problems", *SPLITS), rows) + f"<p>{shown}</p>"


def curation_section(stage: StageFiles) -> str:
    """Problems in and kept at every phase of the curation, and why the others were dropped."""
    damage: list[str] = []
    phases = read_object(stage.folder / "report.json", damage).get("phases")
    if not isinstance(phases, list):  # not finished: each phase has its own record
        records = [read_object(path, damage) for path in sorted((stage.folder / "phases").glob("*.json"))]
        phases = [{"phase": record.get("phase"), **record["counts"]} for record in records if "counts" in record]
    if not phases:
        return guards(damage) + _nothing("No phase has been run.")
    rows = [
        (
            escape(str(phase.get("phase", "")).replace("_", " ")),
            _count(phase.get("in")),
            _count(phase.get("kept")),
            _reasons(phase.get("dropped")),
        )
        for phase in phases
        if isinstance(phase, dict)
    ]
    counts = [phase.get("kept") for phase in phases if isinstance(phase, dict)]
    line = Series("kept", range(1, len(counts) + 1), [as_figure(c) for c in counts])
    names = "; ".join(f"{i} {row[0]}" for i, row in enumerate(rows, 1))
    chart = panel("Problems kept after each phase", [line], "phase")
    note = f'<p class="quiet small">Phases: {names}.</p>'
    listed = table(("Phase", "In", "Kept", "Dropped"), rows)
    return guards(damage) + f'<div class="columns"><div>{listed}</div><div>{chart}{note}</div></div>'


def selection_section(stage: StageFiles, run: RunFiles) -> str:
    """Entropy and pass rate of each epoch, with the band and the choice."""
    damage: list[str] = []
    found = read_object(stage.folder / "selection.json", damage)
    candidates = [c for c in found.get("candidates", []) if isinstance(c, dict)] or _measured(stage)
    if not candidates:
        return guards(damage) + _nothing("No epoch has been measured.")
    candidates.sort(key=lambda c: c["epoch"])
    chosen: dict[str, Any] = found.get("chosen") or {}
    epochs = [float(c["epoch"]) for c in candidates]
    return f"{guards(damage)}<p>{escape(_choice(chosen, run.recipe))}</p>" + grid(
        [
            _entropy(epochs, candidates, chosen, run.recipe),
            _rates(epochs, candidates, chosen),
            panel("Response length, tokens", [Series("mean", epochs, _column(candidates, "response_length"))], "epoch"),
        ]
    )


def _measured(stage: StageFiles) -> list[dict[str, Any]]:
    """The epochs that an unfinished selection has measured."""
    found = [read_object(path, []) for path in stage.folder.glob("candidate-*.json")]
    return [candidate for candidate in found if as_figure(candidate.get("epoch")) is not None]


def _choice(chosen: dict[str, Any], recipe: Recipe) -> str:
    rule = recipe.select
    if not chosen:
        return "Not all epochs have been measured."
    entropy, rate = figure(as_figure(chosen.get("entropy"))), figure(as_figure(chosen.get("pass_rate")))
    told = f"Epoch {chosen.get('epoch')} was chosen: entropy {entropy} nats, pass rate {rate}."
    if rule.by == "validation":
        return f"{told} Rule: the best pass rate of all."
    measured = as_figure(chosen.get("entropy"))
    inside = measured is not None and rule.low <= measured <= rule.high
    band = f"{rule.low:g} to {rule.high:g}"
    if inside:
        return f"{told} Rule: {rule.choice.replace('_', ' ')} of those in the band {band}."
    return f"{told} No epoch lies in the band {band}: this one is nearest to it."


def _entropy(epochs: list[float], rows: list[dict[str, Any]], chosen: dict[str, Any], recipe: Recipe) -> str:
    line = Series("entropy", epochs, _column(rows, "entropy"))
    band = Level(f"band {recipe.select.low:g} to {recipe.select.high:g}", recipe.select.low, recipe.select.high)
    title = f"Entropy, nats a token ({recipe.select.entropy.replace('_', '-')})"
    return panel(title, [line], "epoch", level=band, marks=_ring(chosen, "entropy"))


def _rates(epochs: list[float], rows: list[dict[str, Any]], chosen: dict[str, Any]) -> str:
    domains = sorted({domain for row in rows for domain in row.get("pass_rates", {})})
    lines = [Series("mean", epochs, _column(rows, "pass_rate"))]
    for style, domain in enumerate(domains, 1):
        lines.append(Series(domain, epochs, _column([row.get("pass_rates", {}) for row in rows], domain), style))
    return panel("Pass rate on validation problems", lines, "epoch", marks=_ring(chosen, "pass_rate"))


def _ring(chosen: dict[str, Any], name: str) -> list[tuple[float, float, str]]:
    epoch, height = as_figure(chosen.get("epoch")), as_figure(chosen.get(name))
    return [] if epoch is None or height is None else [(epoch, height, f"chosen: epoch {epoch:g}")]


def _column(rows: Sequence[dict[str, Any]], name: str) -> list[float | None]:
    return [as_figure(row.get(name)) for row in rows]


def _reasons(dropped: object) -> str:
    if not isinstance(dropped, dict) or not dropped:
        return "—"
    return escape(", ".join(f"{str(reason).replace('_', ' ')} {count}" for reason, count in dropped.items()))


def _count(value: object) -> str:
    found = as_figure(value)
    return "—" if found is None else number(found)


def _nothing(told: str) -> str:
    return f'<p class="quiet">{told}</p>'
