"""Two kinds of pictures over the steps of a stage: lines, and a map of shares; inline SVG in the page's colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from harness.report.svg import picture

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BASE = 470, 200, 58, 10, 12, 168
MOST_POINTS = 300
LEVELS = 5
SMALLEST = 1e-100


@dataclass(frozen=True)
class Series:
    """A line: a figure at each x, None where there is none; ``style`` is its number among the page's line styles."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    style: int = 0

    def known(self) -> list[tuple[float, float]]:
        """The points that there are."""
        return [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if y is not None]


@dataclass(frozen=True)
class Level:
    """A horizontal line, or the band up to ``high``, that the figures are held against."""

    name: str
    low: float
    high: float | None = None


def line_chart(
    title: str,
    series: Sequence[Series],
    x_name: str = "step",
    *,
    level: Level | None = None,
    from_zero: bool = True,
    marks: Sequence[tuple[float, float, str]] = (),
) -> str:
    """All series in the same axes; "" where none has a figure.

    Args:
        title: What the figure is, with its unit.
        series: The lines.
        x_name: What x counts.
        level: What the figures are held against.
        from_zero: The axis includes zero.
        marks: Points to ring: x, y and what they are.
    """
    points = [point for line in series for point in line.known()]
    if not points:
        return ""
    values = [y for _, y in points]
    if level:
        values += [level.low, level.high if level.high is not None else level.low]
    x_axis = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, whole=True)
    y_axis = _Axis([*values, *([0.0] if from_zero else [])], BASE, TOP)
    parts = [*_grid(x_axis, y_axis, x_name), *_level(level, y_axis)]
    parts += [_line(line, x_axis, y_axis) for line in series]
    for x, y, told in marks:
        place = f'cx="{x_axis(x):.1f}" cy="{y_axis(y):.1f}"'
        parts.append(f'<circle class="mark" {place} r="8"><title>{escape(told)}</title></circle>')
    return picture(WIDTH, HEIGHT, title, parts)


def heat_map(title: str, names: Sequence[str], rows: Sequence[Sequence[float]], steps: Sequence[float]) -> str:
    """A row of cells for each name, one cell a step: blank at an even share, one colour above it, another below.

    Args:
        title: What a cell shows.
        names: Of the rows, "group, member"; a line is drawn between groups.
        rows: [rows, cells] in units of an even share: 1 is even.
        steps: Step of each cell.
    """
    tall = max(4, min(12, 420 // max(1, len(rows))))
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(steps))
    parts, paths, group = [], dict[int, list[str]](), ""
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        y = TOP + number * tall
        for start, stop, shade in _runs([_shade(value) for value in row]):
            x, width = LEFT + start * wide, (stop - start) * wide
            paths.setdefault(shade, []).append(f"M{x:.1f} {y}h{width:.1f}v{tall}h-{width:.1f}z")
        told = f"{name}: {min(row):.2f} to {max(row):.2f} times an even share"
        size = f'x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{tall}"'
        parts.append(f'<rect class="row" {size}><title>{escape(told)}</title></rect>')
        if group != (group := name.split(",")[0]):
            parts.append(f'<text x="{LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(group)}</text>')
            parts.append(f'<line class="grid" x1="0" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    cells = [
        f'<path class="{"above" if shade > 0 else "below"}" fill-opacity="{abs(shade) / LEVELS}" d="{"".join(d)}"/>'
        for shade, d in sorted(paths.items())
        if shade
    ]
    below = TOP + len(rows) * tall + 16
    ends = [(LEFT, "start", f"step {steps[0]:g}"), (WIDTH - RIGHT, "end", f"step {steps[-1]:g}")]
    words = [f'<text x="{x}" y="{below}" text-anchor="{side}">{text}</text>' for x, side, text in ends]
    return picture(WIDTH, below + 6, title, [*cells, *parts, *words])


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points, peaks and troughs kept: of each stretch the lowest and the highest."""
    if len(points) <= most:
        return list(points)
    kept = []
    size = len(points) / (most // 2)
    for number in range(most // 2):
        stretch = range(int(number * size), int((number + 1) * size))
        low = min(stretch, key=lambda i: points[i][1])
        high = max(stretch, key=lambda i: points[i][1])
        kept += [points[i] for i in sorted({low, high})]
    return kept


def figure(value: float | None) -> str:
    """A figure to four digits: 12,345, 0.4562, 1.574e-07; an em dash for None."""
    if value is None:
        return "—"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e10 else f"{value:.4g}"


class _Axis:
    """Where a value lies between two places of the picture."""

    def __init__(self, values: Sequence[float], start: float, end: float, whole: bool = False):
        low, high = min(values), max(values)
        if high - low < SMALLEST:
            pad = 1.0 if whole else abs(low) * 0.1 or 1.0
            low, high = low - pad if low else low, high + pad
        self.step = _nice((high - low) / 5)
        if whole:
            self.step = max(1.0, self.step)
        else:
            low, high = math.floor(low / self.step + 1e-9) * self.step, math.ceil(high / self.step - 1e-9) * self.step
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        return [number * self.step for number in range(first, last + 1)]


def _nice(rough: float) -> float:
    power: float = 10 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))


def _grid(x_axis: _Axis, y_axis: _Axis, x_name: str) -> list[str]:
    parts = []
    for value in y_axis.ticks():
        y = y_axis(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_tick(value, y_axis.step)}</text>')
    for value in x_axis.ticks():
        parts.append(f'<text x="{x_axis(value):.1f}" y="{BASE + 16}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{BASE + 31}" text-anchor="middle">{escape(x_name)}</text>')
    return parts


def _tick(value: float, step: float) -> str:
    if abs(value) < step / 2:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g}M"
    return f"{value:,.0f}" if abs(value) >= 1e4 else figure(value)


def _level(level: Level | None, y_axis: _Axis) -> list[str]:
    if level is None:
        return []
    y, wide, title = y_axis(level.low), WIDTH - RIGHT - LEFT, f"<title>{escape(level.name)}</title>"
    if level.high is None:
        return [f'<line class="level" x1="{LEFT}" x2="{LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}">{title}</line>']
    top = y_axis(level.high)
    return [f'<rect class="margin" x="{LEFT}" y="{top:.1f}" width="{wide}" height="{y - top:.1f}">{title}</rect>']


def _line(line: Series, x_axis: _Axis, y_axis: _Axis) -> str:
    parts, stretch = [], list[tuple[float, float]]()
    for x, y in [*zip(line.xs, line.ys, strict=True), (math.nan, None)]:
        if y is not None:
            stretch.append((x, y))
            continue
        if len(stretch) == 1:
            (a, b) = stretch[0]
            parts.append(f'<circle class="s{line.style}" cx="{x_axis(a):.1f}" cy="{y_axis(b):.1f}" r="2.5"/>')
        elif stretch:
            path = " ".join(f"{x_axis(a):.1f},{y_axis(b):.1f}" for a, b in thinned(stretch))
            parts.append(f'<polyline class="s{line.style}" points="{path}"/>')
        stretch = []
    known = [y for _, y in line.known()]
    told = f"{line.name}: " + (f"{figure(known[0])} to {figure(known[-1])}" if known else "no figure")
    return f"<g><title>{escape(told)}</title>{''.join(parts)}</g>"


def _shade(value: float) -> int:
    """-LEVELS (a quarter of an even share or less) to LEVELS (four times one or more), by the logarithm."""
    return max(-LEVELS, min(LEVELS, round(LEVELS * math.log(value, 4)))) if value > 0 else -LEVELS


def _runs(shades: Sequence[int]) -> list[tuple[int, int, int]]:
    """Stretches of one shade: start, stop, shade."""
    found: list[tuple[int, int, int]] = []
    for i, shade in enumerate(shades):
        if found and found[-1][2] == shade:
            found[-1] = (found[-1][0], i + 1, shade)
        else:
            found.append((i, i + 1, shade))
    return found
