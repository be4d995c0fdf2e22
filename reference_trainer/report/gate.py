"""The parts of the page about gates: verdicts, checks with their bounds, and held-out scores of every stage."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from harness.report.markup import interval_text, table
from harness.report.sections import percent
from harness.report.svg import ForestRow, forest
from harness.report.wording import number, points, share
from harness.statistics import Interval
from reference_trainer.report.chart import figure
from reference_trainer.report.run_files import StageFiles, as_figure

PILLS = {"green": ("reproduced", "✓ green"), "red": ("not-reproduced", "✗ red")}
UNKNOWN = Interval(math.nan, math.nan, 0.95)


def verdict(stage: StageFiles) -> str:
    """ "green", "red", "outdated" (of other files than there are now), or "" where no gate has judged."""
    if not stage.gate:
        return ""
    if stage.gate.get("outputs") != stage.manifest.get("outputs"):
        return "outdated"
    return str(stage.gate.get("verdict"))


def verdict_pill(stage: StageFiles) -> str:
    """The verdict of a stage's gate as a pill; a dash where it has not judged."""
    told = verdict(stage)
    if not told:
        return '<span class="quiet">—</span>'
    style, text = PILLS.get(told, ("inconclusive", told))
    return f'<span class="badge {style}">{escape(text)}</span>'


def scores(stage: StageFiles) -> dict[str, dict[str, Any]]:
    """The held-out scores in a gate's record, by domain; see ``reference_trainer.gates.record``."""
    found = stage.gate.get("scores") or {}
    return {domain: found[domain] for domain in sorted(found)}


def interval(score: dict[str, Any]) -> Interval:
    """95 % interval of a held-out score, shares of 1."""
    low, high = as_figure(score.get("low")), as_figure(score.get("high"))
    return UNKNOWN if low is None or high is None else Interval(low, high, 0.95)


def value(score: dict[str, Any], name: str = "score") -> float:
    """A figure of a held-out score; NaN where it is undefined."""
    found = as_figure(score.get(name))
    return math.nan if found is None else found


def gate_section(stage: StageFiles) -> str:
    """Everything in a gate's record: checks with bounds, the failed ones first, and what scores were held against."""
    checks = sorted(stage.gate.get("checks") or [], key=lambda check: bool(check.get("ok")))
    failed = sum(not check.get("ok") for check in checks)
    told = f"{len(checks)} checks, {f'{failed} failed' if failed else 'all passed'}"
    if verdict(stage) == "outdated":
        told += "; the stage was run again since"
    compared = f"; scores: {stage.gate['compared']}" if stage.gate.get("compared") else ""
    listed = table(("Check", "Value", "Has to be"), [_check(check) for check in checks], numeric=3)
    return (
        f'<div class="gate"><h4>Gate {verdict_pill(stage)}</h4><p>{escape(told + compared)}.</p>'
        f'<details class="checks"{" open" if failed else ""}><summary>checks</summary>{listed}</details>'
        f"{_scored(stage)}{_against(stage, 'baseline', 'Baseline')}{_against(stage, 'previous', 'Earlier stage')}</div>"
    )


def score_table(stages: Sequence[StageFiles]) -> str:
    """Held-out scores, one row a stage, and the same as a picture."""
    judged = [(stage, scores(stage)) for stage in stages if scores(stage)]
    if not judged:
        return '<p class="quiet">No gate has scored a stage yet.</p>'
    domains = sorted({domain for _, found in judged for domain in found})
    rows = [
        (f"<b>{escape(stage.name)}</b>", *(_cell(found[d]) if d in found else "—" for d in domains))
        for stage, found in judged
    ]
    bars = [
        ForestRow(f"{d}, {stage.name}", 100 * value(found[d]), percent(interval(found[d])), UNKNOWN)
        for d in domains
        for stage, found in judged
        if d in found
    ]
    picture = forest(bars, "Held-out accuracy in percent by domain and stage, with 95 % intervals of sampling")
    listed = table(("Percent, after stage", *map(escape, domains)), rows)
    return f'{listed}<details><summary>as a picture</summary><div class="plot">{picture}</div></details>'


def _check(check: dict[str, Any]) -> tuple[str, str, str]:
    ok = bool(check.get("ok"))
    mark = f'<span class="mark-{"ok" if ok else "bad"}">{"✓" if ok else "✗ failed"}</span>'
    detail = f"<small>{escape(str(check['detail']))}</small>" if check.get("detail") else ""
    found = as_figure(check.get("value"))
    told = figure(found) if found is not None else escape(str(check.get("value")))
    return f"{mark} {escape(str(check.get('name')))}{detail}", told, escape(str(check.get("bound")))


def _cell(score: dict[str, Any]) -> str:
    return f'<span class="score">{points(value(score))}</span><small>{interval_text(interval(score))}</small>'


def _scored(stage: StageFiles) -> str:
    rows = [
        (
            escape(domain),
            _cell(score),
            points(value(score, "se")),
            number(value(score, "problems")),
            number(value(score, "samples")),
            share(value(score, "truncated")),
            number(value(score, "mean_tokens")),
        )
        for domain, score in scores(stage).items()
    ]
    heads = ("Domain", "Held-out, %", "SE", "Problems", "Samples", "Truncated", "Tokens on average")
    return table(heads, rows) if rows else ""


def _against(stage: StageFiles, name: str, title: str) -> str:
    """What the regression gate compared with, domain by domain."""
    other = stage.gate.get(name)
    if not isinstance(other, dict) or not other.get("domains"):
        return ""
    rows = [
        (
            escape(domain),
            points(value(found)),
            points(value(found, "difference")),
            points(value(found, "se")),
            figure(as_figure(found.get("p_holm"))),
            points(value(found, "margin")),
        )
        for domain, found in sorted(other["domains"].items())
    ]
    parts = ("path", "commit", "recorded", "reason")
    told = ", ".join(f"{part} {str(other[part])[:200]}" for part in parts if other.get(part))
    heads = (title, "Score, %", "Now minus then", "SE", "p (Holm)", "Margin")
    return table(heads, rows) + (f'<p class="quiet small">{escape(told)}</p>' if told else "")
