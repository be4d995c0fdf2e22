"""report.html of a training run: one self-contained page, also of a run that has not come to its end."""

import os
from html import escape
from pathlib import Path

from harness.errors import UsageError
from harness.report.markup import table
from harness.report.page import document, heading
from reference_trainer.pipeline import RECIPE
from reference_trainer.stages import STAGES

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Writes ``report.html`` into the folder of a run, finished or not, and returns its path.

    Raises:
        UsageError: It is no folder of a training run.
    """
    if not (folder / RECIPE).is_file():
        raise UsageError(f"{folder} is no run of `ringlite train`: it has no {RECIPE}")
    rows = [
        (escape(stage.name), "done" if (folder / stage.name / "manifest.json").exists() else "-") for stage in STAGES
    ]
    body = f'{heading("ringlite train", folder.resolve().name, "")}<main><section class="card">{table(("Stage", "Status"), rows)}</section></main>'
    path = folder / REPORT
    scratch = path.with_name(f".{REPORT}.{os.getpid()}")
    scratch.write_text(document(f"{folder.name} · ringlite train", body, folder.name), encoding="utf-8")
    scratch.replace(path)
    return path
