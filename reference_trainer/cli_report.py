"""``ringlite train report``: the page of a run folder, again."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="Folder of `ringlite train --recipe`.")],
) -> None:
    """Write report.html into a run's folder: curves, counts, scores and gates of every stage, finished or not."""
    from reference_trainer.report import write_report

    typer.echo(f"training report: {write_report(folder)}")
