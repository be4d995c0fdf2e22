"""The first screen: what the run is, how far it is, its scores and its gates."""

from html import escape
from typing import Any

from harness.report.markup import interval_text, table, tiles
from harness.report.wording import points
from reference_trainer.recipe import HubData
from reference_trainer.report.gate import interval, scores, value, verdict, verdict_pill
from reference_trainer.report.run_files import RunFiles, StageFiles

PURPOSE = {
    "data": "problems, demonstrations, tokenizer",
    "base": "pre-training on plain text",
    "distill": "supervised fine-tuning on long reasoning",
    "select": "the epoch that reinforcement learning starts from",
    "curate": "problems for reinforcement learning",
    "c3po-math": "C3PO stage 1, mathematics",
    "grpo-math": "stage 1 under GRPO, for comparison",
    "c3po-code-science": "C3PO stage 2, code and science",
    "general": "general fine-tuning that keeps reasoning",
}
STATUS = {
    "done": ("reproduced", "✓ done"),
    "out of date": ("inconclusive", "out of date"),
    "unfinished": ("inconclusive", "unfinished"),
    "not started": ("", "not started"),
}


def summary(run: RunFiles) -> str:
    """Verdict of the run in a sentence, final scores, and a row for each stage."""
    return _verdict(run) + _final(run) + _stages(run) + _facts(run)


def _verdict(run: RunFiles) -> str:
    verdicts = {stage.name: verdict(stage) for stage in run.stages}
    red = [name for name, found in verdicts.items() if found == "red"]
    judged = sum(found in ("green", "red") for found in verdicts.values())
    done = sum(stage.status == "done" for stage in run.stages)
    told = f"{done} of {len(run.stages)} stages are done"
    if red:
        style, mark, told = "not-reproduced", "✗ red gate", f"{told}; the gate of {', '.join(red)} is red"
    elif done < len(run.stages):
        style, mark = "inconclusive", "not finished"
    elif not judged:
        style, mark, told = "inconclusive", "done, not judged", f"{told}; no gate has judged them"
    else:
        style, mark, told = "reproduced", "✓ gates green", f"{told}; {judged} gates have judged, all green"
    return f'<div class="summary"><span class="badge big {style}">{mark}</span><p>{escape(told)}.</p></div>'


def _final(run: RunFiles) -> str:
    judged = [stage for stage in run.stages if scores(stage)]
    if not judged:
        return ""
    last = judged[-1]
    entries = [
        (f"{points(value(score))} %", f"{domain}, 95 %: {interval_text(interval(score))}")
        for domain, score in scores(last).items()
    ]
    return f"<h4>Held-out accuracy after {escape(last.name)}</h4>{tiles(entries)}"


def _stages(run: RunFiles) -> str:
    domains = sorted({domain for stage in run.stages for domain in scores(stage)})
    rows = [_row(stage, domains) for stage in run.stages]
    heads = ("Stage", "Status", "Gate", "Steps", "Time of steps", *(f"{escape(domain)}, %" for domain in domains))
    return "<h4>Stages</h4>" + table(heads, rows, numeric=3)


def _row(stage: StageFiles, domains: list[str]) -> tuple[str, ...]:
    style, told = STATUS[stage.status]
    name, found = escape(stage.name), scores(stage)
    linked = name if stage.status == "not started" else f'<a href="#stage-{name}">{name}</a>'
    return (
        f"<b>{linked}</b><small>{PURPOSE.get(stage.name, '')}</small>",
        f'<span class="badge {style}">{told}</span>',
        verdict_pill(stage),
        f"{stage.metrics[-1]['step']:,}" if stage.metrics else "—",
        _duration(stage.seconds),
        *(points(value(found[domain])) if domain in found else "—" for domain in domains),
    )


def _duration(seconds: float) -> str:
    if not seconds:
        return "—"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _facts(run: RunFiles) -> str:
    recipe = run.recipe
    environment: dict[str, Any] = next((s.manifest["environment"] for s in run.stages if s.manifest), {})
    data = "hub: " + recipe.data.rl if isinstance(recipe.data, HubData) else "toy domains"
    facts: dict[str, Any] = {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "torch threads": recipe.threads,
        "data": data,
        "start": recipe.model.path or "fresh weights",
        "engine": recipe.engine.kind,
        "rollouts": recipe.rollout_engine.kind,
        **{name: environment[name] for name in ("torch", "python", "device", "machine") if name in environment},
    }
    cells = "".join(f"<span>{name} <b>{escape(str(value))}</b></span>" for name, value in facts.items())
    return f'<div class="facts-line">{cells}</div>'
