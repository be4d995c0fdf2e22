"""Small pieces of markup. Every argument named text is escaped here; cells are markup that is ready."""

import math
from collections.abc import Sequence
from html import escape

from harness.report.wording import OUTCOME_MARKS, points
from harness.statistics import Interval


def badge(outcome: str, big: bool = False) -> str:
    """A verdict as a coloured pill."""
    return f'<span class="badge {outcome.replace(" ", "-")}{" big" if big else ""}">{OUTCOME_MARKS[outcome]}</span>'


def interval_text(interval: Interval) -> str:
    """ "71.20 to 78.10"; an em dash where it is undefined."""
    return "—" if math.isnan(interval.low) else f"{points(interval.low)} to {points(interval.high)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: int = 1, classes: Sequence[str] = ()) -> str:
    """A table that scrolls sideways when it must; columns from number ``numeric`` on are right-aligned figures."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=r' if i >= numeric else ''}>{text}</{tag}>" for i, text in enumerate(texts))

    styles = [*classes, *[""] * (len(rows) - len(classes))]
    body = "".join(
        f"<tr{f' class={style}' if style else ''}>{cells('td', row)}</tr>"
        for row, style in zip(rows, styles, strict=True)
    )
    return f'<div class="scroll"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>{body}</tbody></table></div>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """A legend: (style of the swatch, text); an empty style gives a note without a swatch."""
    swatches = [f'<i style="{style}"></i>' if style else "" for style, _ in entries]
    parts = [f"<span>{swatch}{escape(text)}</span>" for swatch, (_, text) in zip(swatches, entries, strict=True)]
    return f'<div class="legend">{"".join(parts)}</div>'


def tiles(entries: Sequence[tuple[str, str]]) -> str:
    """Large figures with their names: (figure, name)."""
    cells = "".join(
        f'<div class="tile"><b>{escape(figure)}</b><span>{escape(name)}</span></div>' for figure, name in entries
    )
    return f'<div class="tiles">{cells}</div>'
