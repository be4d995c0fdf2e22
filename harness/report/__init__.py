"""From a run folder to what people read: the terminal table, results.json, the HTML page, Markdown, model-index."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.published import DEFAULT_TARGET
from harness.report.page import render_html
from harness.report.terminal import print_table
from harness.scoring_results import Results, evaluate, write_results

__all__ = ["evaluate", "finish", "print_table", "render_html", "write_results"]


def finish(
    folder: Path, against: str = DEFAULT_TARGET, accept: Sequence[str] = (), console: Console | None = None
) -> tuple[Results, Path]:
    """Ends a run: results.json and report.html into the folder, the table onto the terminal.

    Args:
        folder: The run folder.
        against: Row of published numbers, see ``harness.published.find_target``.
        accept: Protocol fields and guards that the user accepts.
        console: Where the table goes; None: standard output.

    Returns:
        The results and the path of the page.

    Raises:
        UsageError: It is no run folder, or ``against`` or ``accept`` names something unknown.
    """
    results = evaluate(folder, against, accept)
    write_results(results)
    page = render_html(results)
    print_table(results, console)
    return results, page
