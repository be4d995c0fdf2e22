"""Simulated runs as one self-contained SVG: a panel a figure, a line a run."""

from collections.abc import Callable, Sequence
from html import escape

from reference_trainer.plan.simulate import Run, Step

_COLOURS = ("#c2410c", "#1d4ed8", "#0f766e", "#7c3aed")
_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP = 820, 190, 76, 20, 64

PANELS: tuple[tuple[str, Callable[[Step], float]], ...] = (
    ("throughput, thousand trained tokens a second", lambda step: step.throughput / 1e3),
    ("trained tokens a step, millions", lambda step: step.trained / 1e6),
    ("sampled tokens a step, millions", lambda step: step.sampled / 1e6),
    ("seconds a step", lambda step: step.seconds),
)


def draw(runs: Sequence[Run], title: str) -> str:
    """The SVG; every axis begins at 0, so that a steady line looks as steady as it is."""
    height = _TOP + _PANEL * len(PANELS)
    parts = [f'<text x="{_LEFT}" y="22" class="title">{escape(title)}</text>']
    for number, run in enumerate(runs):
        x = _LEFT + 160 * number
        parts.append(f'<line x1="{x}" x2="{x + 24}" y1="42" y2="42" stroke="{_COLOURS[number]}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 30}" y="46">{escape(run.name)}</text>')
    for number, (name, value) in enumerate(PANELS):
        lines = [[value(step) for step in run.steps] for run in runs]
        parts += _panel(lines, name, _TOP + _PANEL * number)
    style = "text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}.grid{stroke:#ddd}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}"><style>{style}</style>'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _panel(lines: Sequence[Sequence[float]], name: str, top: float) -> list[str]:
    base, tall = top + _PANEL - 34, _PANEL - 62
    steps = max(len(line) for line in lines)
    most = max(max(line) for line in lines) * 1.05 or 1.0
    parts = [f'<text x="{_LEFT}" y="{top + 18:.0f}">{escape(name)}</text>']
    for share in (0.0, 0.5, 1.0):
        y = base - tall * share
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{most * share:,.0f}</text>')
    parts.append(f'<text x="{_LEFT}" y="{base + 18:.0f}">step 1</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{base + 18:.0f}" text-anchor="end">{steps}</text>')
    width = (_WIDTH - _LEFT - _RIGHT) / max(1, steps - 1)
    for number, line in enumerate(lines):
        points = " ".join(f"{_LEFT + width * i:.1f},{base - tall * y / most:.1f}" for i, y in enumerate(line))
        parts.append(f'<polyline fill="none" stroke="{_COLOURS[number]}" stroke-width="1.6" points="{points}"/>')
    return parts
