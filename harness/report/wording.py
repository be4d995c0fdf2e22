"""How figures and verdicts are written, the same on the terminal, in HTML and in Markdown."""

import math

OUTCOME_MARKS = {
    "reproduced": "✓ reproduced",
    "not reproduced": "✗ not reproduced",
    "inconclusive": "? inconclusive",
    "not comparable": "≠ not comparable",
}


def points(value: float, digits: int = 2) -> str:
    """A share of 1 in percent: 0.7661 -> "76.61"; an em dash where it is undefined."""
    return "—" if math.isnan(value) else f"{100 * value:.{digits}f}"


def share(value: float) -> str:
    """A share of samples: "3.1 %"; an em dash where it is not known."""
    return "—" if math.isnan(value) else f"{100 * value:.1f} %"


def number(value: float) -> str:
    """A count with thin separators: 12,345; an em dash where it is undefined."""
    return "—" if math.isnan(value) else f"{value:,.0f}"
