"""The parts of the page above the benchmarks: the verdict table and the forest plot."""

import math
from html import escape

from harness.report.markup import badge, interval_text, legend
from harness.report.svg import ForestRow, forest
from harness.report.wording import points, share
from harness.scoring_results import Results, Row
from harness.statistics import Interval
from harness.verdict import Verdict

_HEADS = ("Benchmark", "Problems × n", "avg@n", "95 % interval", "Truncated", "No answer", "Published", "Verdict")


def verdict_table(results: Results) -> str:
    """Two lines a benchmark: score, errors, shares, the published number, the verdict; and why."""
    head = "".join(f"<th{' class=r' if 0 < i < 7 else ''}>{name}</th>" for i, name in enumerate(_HEADS))
    rows = "".join(_verdict_row(place, row) for place, row in enumerate(results.rows))
    return f'<table class="verdicts"><thead><tr>{head}</tr></thead>{rows}</table>'


def _verdict_row(place: int, row: Row) -> str:
    score, verdict = row.score, row.verdict
    n = f"{score.fewest}" if score.fewest == score.most else f"{score.fewest}–{score.most}"
    whole = score.problems == score.total_problems
    asked = f"{score.problems}" if whole else f"{score.problems} of {score.total_problems}"
    cells = (
        f'<a href="#bench-{place}"><b>{escape(row.title)}</b></a><small>{escape(score.scorer)}</small>',
        f"{asked} × {n}",
        f"<span class=score>{points(score.score)}</span><small>SE {points(score.se_samp)}</small>",
        f"{interval_text(score.interval_samp)}<small>problems: {interval_text(score.interval_total)}</small>",
        share(score.shares.truncated),
        share(score.shares.no_answer),
        _published(row),
        badge(verdict.outcome) if verdict else '<span class="quiet">no published number</span>',
    )
    line = "".join(
        f'<td data-head="{name}"{" class=r" if 0 < i < 7 else ""}>{cell}</td>'
        for i, (name, cell) in enumerate(zip(_HEADS, cells, strict=True))
    )
    why = f'<tr class="why"><td colspan="8">{escape(sentence(verdict))}</td></tr>' if verdict else ""
    return f"<tbody><tr>{line}</tr>{why}</tbody>"


def _published(row: Row) -> str:
    published = row.published
    if published is None:
        return "—"
    m = f"m = {published.samples}, {published.samples_source}" if published.samples else "m not known"
    return f'<span title="{escape(published.place)}">{escape(published.text)}</span><small>{m}</small>'


def sentence(verdict: Verdict) -> str:
    """Reason, advice and accepted exceptions of a verdict as plain sentences."""
    parts = [verdict.reason, verdict.advice, f"accepted: {', '.join(verdict.accepted)}" if verdict.accepted else ""]
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in parts if part)


def forest_plot(results: Results) -> str:
    """All benchmarks of the run in one forest plot, with its legend."""
    plot = forest([_forest_row(row) for row in results.rows])
    entries = (
        ("background:var(--accent)", "ours: avg@n, 95 % interval of sampling"),
        ("background:var(--accent);opacity:.28", "95 % interval over problems"),
        ("border:2px solid var(--warn)", "published, with its own sampling interval"),
        ("background:var(--warn);opacity:.3", "margin of the verdict"),
    )
    return plot + legend(entries) if plot else '<p class="quiet">Nothing is graded yet.</p>'


def _forest_row(row: Row) -> ForestRow:
    score, half, margin = row.score, math.nan, None
    if row.verdict:
        margin = row.verdict.margin
        if score.problems:
            half = 196 * math.sqrt(score.variance / (score.problems * row.verdict.published_samples))
    published = row.published.value if row.published else None
    samp, total = percent(score.interval_samp), percent(score.interval_total)
    return ForestRow(row.title, 100 * score.score, samp, total, published, half, margin)


def percent(interval: Interval) -> Interval:
    """From shares of 1 to percent."""
    return Interval(100 * interval.low, 100 * interval.high, interval.level)
