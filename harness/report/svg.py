"""Plots as inline SVG: text and shapes only, coloured by the page's style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from harness.statistics import Interval


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One line of a forest plot, in percent; ``published`` and ``margin`` are None where there is no number."""

    name: str
    score: float
    samp: Interval
    total: Interval
    published: float | None = None
    published_half: float = math.nan
    margin: float | None = None


def forest(rows: Sequence[ForestRow], title: str = "Scores with intervals against published ones") -> str:
    """Ours against published: point, sampling interval (thick), interval over problems (faint), margin (band)."""
    values = [value for row in rows for value in _extent(row) if not math.isnan(value)]
    if not values:
        return ""
    low, high = _span(min(values), max(values))
    left, right, line, width = 190, 20, 44, 900
    height = line * len(rows) + 34

    def x(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (width - left - right)

    parts = []
    for tick in _ticks(low, high):
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="6" y2="{height - 26}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{tick:g}</text>')
    for number, row in enumerate(rows):
        parts.append(_forest_line(row, 6 + line * number + line / 2, x))
    return picture(width, height, title, parts)


def _forest_line(row: ForestRow, y: float, x: Callable[[float], float]) -> str:
    title = f"{row.name}: {row.score:.2f}, 95 % interval {row.samp.low:.2f} to {row.samp.high:.2f}"
    parts = [f'<text class="name" x="0" y="{y + 4:.1f}">{escape(_cut(row.name, 27))}</text>']
    if row.published is not None:
        title += f"; published {row.published:.2f}"
        if row.margin is not None:
            a, b = x(row.published - row.margin), x(row.published + row.margin)
            parts.append(f'<rect class="margin" x="{a:.1f}" y="{y - 16:.1f}" width="{b - a:.1f}" height="32" rx="4"/>')
    if not math.isnan(row.total.low):
        parts.append(_bar("wide", x(row.total.low), x(row.total.high), y, 9))
    if not math.isnan(row.samp.low):
        parts.append(_bar("ours", x(row.samp.low), x(row.samp.high), y, 2.5))
    if not math.isnan(row.score):
        parts.append(f'<circle class="ours" cx="{x(row.score):.1f}" cy="{y:.1f}" r="5"/>')
    if row.published is not None:
        if not math.isnan(row.published_half):
            a, b = x(row.published - row.published_half), x(row.published + row.published_half)
            parts.append(_bar("theirs-line", a, b, y + 11, 2))
        px, py = x(row.published), y + 11
        parts.append(f'<path class="theirs" d="M{px:.1f} {py - 5:.1f} l5 5 l-5 5 l-5 -5 z"/>')
    return f"<g><title>{escape(title)}</title>{''.join(parts)}</g>"


def stacked_histogram(lengths: NDArray[np.int64], kinds: NDArray[np.int64], unit: str, bins: int = 36) -> str:
    """Lengths, stacked by kind: right, wrong, cut at the limit."""
    if not lengths.size:
        return ""
    edges = np.linspace(0, max(float(lengths.max()), 1.0) * 1.0001, bins + 1)
    stacks = [np.histogram(lengths[kinds == kind], edges)[0] for kind in range(3)]
    names = ("right", "wrong", "truncated")
    return _bars(edges, stacks, ("bar", "bar wrong", "bar cut"), names, f"Response length in {unit}")


def share_histogram(shares: Sequence[float], title: str, style: str = "bar") -> str:
    """Problems by a share in [0, 1], in 20 bins and the two ends."""
    known = np.array([share for share in shares if not math.isnan(share)])
    if not known.size:
        return ""
    edges = np.linspace(0, 100, 21)
    return _bars(edges, [np.histogram(100 * known, edges)[0]], (style,), ("problems",), title)


def scatter(ids: Sequence[str], xs: Sequence[float], ys: Sequence[float], x_name: str, y_name: str) -> str:
    """One dot a problem, both axes 0 to 100; dots on one spot are drawn larger."""
    side, left, base = 300, 40, 270
    spots: dict[tuple[float, float], list[str]] = {}
    for name, x, y in zip(ids, xs, ys, strict=True):
        spots.setdefault((round(x, 1), round(y, 1)), []).append(name)
    scale = (side - left - 12) / 100
    parts = [
        f'<rect class="grid" fill="none" x="{left}" y="{base - 100 * scale:.1f}" width="{100 * scale:.1f}" '
        f'height="{100 * scale:.1f}"/>',
        f'<line class="grid" x1="{left}" y1="{base}" x2="{left + 100 * scale:.1f}" y2="{base - 100 * scale:.1f}"/>',
        f'<text x="{left}" y="{base + 18}">{escape(_cut(x_name, 40))} →</text>',
        f'<text transform="translate({left - 10} {base}) rotate(-90)">{escape(_cut(y_name, 40))} →</text>',
    ]
    for (x, y), names in spots.items():
        told = f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}: {x:g} and {y:g}"
        place = f'cx="{left + x * scale:.1f}" cy="{base - y * scale:.1f}" r="{min(12, 3 + len(names) ** 0.5):.1f}"'
        parts.append(f'<circle class="dot" {place}><title>{escape(told)}</title></circle>')
    return f'<div class="scatter">{picture(side, base + 28, "Problem by problem", parts)}</div>'


def _bars(
    edges: NDArray[np.float64],
    stacks: Sequence[NDArray[np.int64]],
    styles: Sequence[str],
    names: Sequence[str],
    title: str,
) -> str:
    width, height, base, left = 440, 150, 122, 36
    top = max(1, int(np.sum(stacks, axis=0).max()))
    step = (width - left) / (len(edges) - 1)
    parts = [
        f'<line class="grid" x1="{left}" x2="{width}" y1="{base}" y2="{base}"/>',
        f'<text x="{left - 6}" y="18" text-anchor="end">{top:,}</text>',
        f'<text x="{left - 6}" y="{base}" text-anchor="end">0</text>',
        f'<text x="{left}" y="{base + 16}">0</text>',
        f'<text x="{width}" y="{base + 16}" text-anchor="end">{edges[-1]:,.0f}</text>',
        f'<text x="{(width + left) / 2}" y="{base + 16}" text-anchor="middle">{escape(title)}</text>',
    ]
    for number in range(len(edges) - 1):
        y = float(base)
        told = ", ".join(f"{stack[number]} {name}" for stack, name in zip(stacks, names, strict=True))
        bars = []
        for stack, style in zip(stacks, styles, strict=True):
            tall = (base - 10) * stack[number] / top
            if tall:
                y -= tall
                place = f'x="{left + step * number + 0.5:.1f}" y="{y:.1f}" width="{step - 1:.1f}" height="{tall:.1f}"'
                bars.append(f'<rect class="{style}" {place}/>')
        if bars:
            span = f"{edges[number]:,.0f} to {edges[number + 1]:,.0f}: {told}"
            parts.append(f"<g><title>{escape(span)}</title>{''.join(bars)}</g>")
    return picture(width, height, title, parts)


def _bar(style: str, a: float, b: float, y: float, thick: float) -> str:
    ends = f'x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"'
    return f'<line class="{style}" {ends} stroke-width="{thick}" stroke-linecap="round"/>'


def picture(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    """A whole picture of these elements; ``title`` is what a screen reader says."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def _extent(row: ForestRow) -> list[float]:
    values = [row.score, row.samp.low, row.samp.high, row.total.low, row.total.high]
    if row.published is not None:
        reach = row.margin or 0.0
        values += [row.published - reach, row.published + reach]
    return values


def _span(low: float, high: float) -> tuple[float, float]:
    pad = max(1.0, 0.06 * (high - low))
    return max(0.0, low - pad), min(100.0, high + pad)


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 6
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50) if step >= rough or step == 50)
    first = math.ceil(low / step) * step
    return [first + step * i for i in range(int((high - first) / step) + 1)]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
