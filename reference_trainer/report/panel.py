"""A figure of the page: heading, picture, legend, and the same figures as a table for those who cannot see it."""

from collections.abc import Sequence
from html import escape
from typing import TypeVar

from harness.report.markup import table
from reference_trainer.report.chart import Level, Series, figure, heat_map, line_chart
from reference_trainer.report.run_files import StageFiles, as_figure

T = TypeVar("T")
MOST_LINES, MOST_CELLS, MOST_ROWS = 40, 60, 96


def column(stage: StageFiles, name: str, told: str = "", style: int = 0, timing: bool = False) -> Series:
    """The figure ``name`` of every step of a stage, as a line called ``told``."""
    rows = stage.timings if timing else stage.metrics
    return Series(told or stage.name, [row["step"] for row in rows], [as_figure(row.get(name)) for row in rows], style)


def panel(
    title: str,
    series: Sequence[Series],
    x_name: str = "step",
    *,
    level: Level | None = None,
    from_zero: bool = True,
    marks: Sequence[tuple[float, float, str]] = (),
) -> str:
    """A line chart with all that belongs to it; "" where there is no figure. Arguments: see ``line_chart``."""
    chart = line_chart(title, series, x_name, level=level, from_zero=from_zero, marks=marks)
    if not chart:
        return ""
    there = [line for line in series if line.known()]
    keys = [_swatch(f"s{line.style}", line.name) for line in there] if len(there) > 1 or level else []
    if level:
        keys.append(_swatch("level" if level.high is None else "margin", level.name))
    keys += [_swatch("mark", told) for _, _, told in marks]
    legend = f'<div class="legend">{"".join(keys)}</div>' if keys else ""
    return f'<div class="panel"><h4>{escape(title)}</h4>{chart}{legend}{_values(title, there, x_name)}</div>'


def expert_load(stage: StageFiles) -> str:
    """Where the router sent the tokens of each step: a map of layers and experts; "" for a dense model."""
    rows = [row for row in stage.metrics if _is_matrix(row.get("expert_load"))]
    if not rows:
        return ""
    layers, experts = len(rows[0]["expert_load"]), len(rows[0]["expert_load"][0])
    rows = [row for row in rows if _shape(row["expert_load"]) == (layers, experts)]
    shown = _spread(range(layers), max(1, MOST_ROWS // experts))
    stretches = _stretches(rows)
    loads = [
        [experts * sum(row["expert_load"][i][j] for row in part) / len(part) for part in stretches]
        for i in shown
        for j in range(experts)
    ]
    names = [f"layer {i + 1}, expert {j + 1}" for i in shown for j in range(experts)]
    title = f"Expert load, {stage.name}"
    chart = heat_map(title, names, loads, [part[0]["step"] for part in stretches])
    lines = [
        (escape(name), *map(figure, (row[0], row[-1], min(row), max(row))))
        for name, row in zip(names, loads, strict=True)
    ]
    listed = table(("Expert", "First", "Last", "Least", "Most"), lines)
    left_out = f" Shown are {len(shown)} of {layers} layers." if len(shown) < layers else ""
    note = (
        f'<p class="quiet small">Share of the assignments, times {experts} experts: blank is 1, an even share; '
        f"full colour is four times or a quarter of it.{left_out}</p>"
    )
    keys = f'<div class="legend">{_swatch("above", "more than even")}{_swatch("below", "less than even")}</div>'
    return f'<div class="panel"><h4>{escape(title)}</h4>{chart}{keys}{note}{_details(title, listed)}</div>'


def grid(panels: Sequence[str]) -> str:
    """Panels side by side."""
    return f'<div class="panels">{"".join(panels)}</div>'


def guards(damage: Sequence[str]) -> str:
    """What could not be read, each in a box."""
    return "".join(f'<div class="guard">{escape(told)}</div>' for told in damage)


def _swatch(style: str, told: str) -> str:
    shape = {
        "margin": '<rect width="22" height="12"/>',
        "above": '<rect width="22" height="12"/>',
        "below": '<rect width="22" height="12"/>',
        "mark": '<circle cx="11" cy="6" r="5"/>',
    }.get(style, '<line x1="0" x2="22" y1="6" y2="6"/>')
    return f'<span><svg class="key {style}" viewBox="0 0 22 12" aria-hidden="true">{shape}</svg>{escape(told)}</span>'


def _values(title: str, series: Sequence[Series], x_name: str) -> str:
    by_x = [dict(line.known()) for line in series]
    xs = sorted({x for line in by_x for x in line})
    shown = _spread(xs, MOST_LINES)
    rows = [(figure(x), *(figure(line.get(x)) for line in by_x)) for x in shown]
    listed = table((escape(x_name.capitalize()), *(escape(line.name) for line in series)), rows)
    note = f'<p class="quiet small">{len(shown)} of {len(xs)} rows.</p>' if len(shown) < len(xs) else ""
    return _details(title, listed + note)


def _details(title: str, content: str) -> str:
    return f'<details><summary aria-label="{escape(title)} as a table">as a table</summary>{content}</details>'


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly spread, with the first and the last."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[-1]]
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _stretches(rows: Sequence[T]) -> list[Sequence[T]]:
    """The rows in at most MOST_CELLS stretches of like length, none empty."""
    count = min(MOST_CELLS, len(rows))
    return [rows[i * len(rows) // count : (i + 1) * len(rows) // count] for i in range(count)]


def _is_matrix(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, list) and row and all(as_figure(x) is not None for x in row) for row in value)
        and len({len(row) for row in value}) == 1
    )


def _shape(matrix: Sequence[Sequence[float]]) -> tuple[int, int]:
    return len(matrix), len(matrix[0])
