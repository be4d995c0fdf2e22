"""Memory of scoring and rendering: it follows the number of samples by their numbers, not by their texts."""

import tracemalloc
from pathlib import Path

from harness.report.page import render_html
from harness.scoring_results import evaluate


def peak_of(folder: Path) -> int:
    tracemalloc.start()
    render_html(evaluate(folder))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_four_times_the_texts_cost_no_more_memory(make_run) -> None:
    """30 problems x 20 and x 80 responses of 20,000 characters: 12 and 48 MB of text."""

    def long(i: int, k: int, answer: str) -> str:
        return f"{i} {k} " + "reasoning " * 2000 + answer

    small = peak_of(make_run("small", n=20, respond=long, strict=False))
    large = peak_of(make_run("large", n=80, respond=long, strict=False))
    assert large < small + 4_000_000
    assert large < 20_000_000
