"""report.html of a training run: one self-contained page, also of a run that has not come to its end."""

import importlib.resources
import os
from collections.abc import Callable
from html import escape
from pathlib import Path

from harness.report.page import document, heading
from reference_trainer.report.facts import facts_section
from reference_trainer.report.gate import gate_section, score_table
from reference_trainer.report.measures import curation_section, data_section, selection_section
from reference_trainer.report.panel import guards
from reference_trainer.report.run_files import RunFiles, StageFiles, read_run
from reference_trainer.report.summary import summary
from reference_trainer.report.training import reinforcement_section, supervised_section

REPORT = "report.html"
COMPARED = ("c3po-math", "grpo-math")


def write_report(folder: Path) -> Path:
    """Writes ``report.html`` into the folder of a run, finished or not, and returns its path.

    The page is self-contained and asks for nothing; the same files give the same bytes.

    Raises:
        UsageError: It is no folder of a training run, its recipe is damaged, or the page cannot be written.
    """
    run = read_run(folder)
    path = folder / REPORT
    scratch = path.with_name(f".{REPORT}.{os.getpid()}")
    scratch.write_text(_page(run), encoding="utf-8")
    scratch.replace(path)
    return path


def _page(run: RunFiles) -> str:
    recipe = run.recipe
    started = [stage for stage in run.stages if stage.status != "not started"]
    sections = [
        f'<section class="card" id="summary">{summary(run)}</section>',
        _card("scores", "Held-out scores", score_table(run.stages)),
        *(_stage(run, stage) for stage in started),
        _card("facts", "What it was made with", facts_section(started)),
    ]
    head = heading("ringlite train", f"{recipe.name}, seed {recipe.seed}", "training report")
    body = f"{head}<main>{''.join(sections)}</main>"
    styles = (importlib.resources.files("reference_trainer.report") / "training.css").read_text(encoding="utf-8")
    return document(
        f"{recipe.name}, seed {recipe.seed} · ringlite train", body, f"a run of recipe {recipe.name}", styles=styles
    )


def _stage(run: RunFiles, stage: StageFiles) -> str:
    status = "" if stage.status == "done" else f'<span class="badge inconclusive">{escape(stage.status)}</span>'
    head = f'<div class="bench-head"><h2>{escape(stage.name)}</h2>{status}</div>'
    parts = [head, guards(stage.damage), gate_section(stage) if stage.gate else "", _content(run, stage)]
    return f'<section class="card" id="stage-{stage.name}">{"".join(parts)}</section>'


def _content(run: RunFiles, stage: StageFiles) -> str:
    makers: dict[str, Callable[[], str]] = {
        "data": lambda: data_section(stage),
        "select": lambda: selection_section(stage, run),
        "curate": lambda: curation_section(stage),
        "c3po-math": lambda: _first_stage(run),
        "grpo-math": lambda: '<p>Its curves stand beside those of <a href="#stage-c3po-math">c3po-math</a>.</p>',
        "c3po-code-science": lambda: reinforcement_section([stage], run.recipe.c3po_code_science),
    }
    return makers.get(stage.name, lambda: supervised_section(stage))()


def _first_stage(run: RunFiles) -> str:
    """Stage 1 under both losses, from the same checkpoint and on the same prompts."""
    stages = [stage for name in COMPARED if (stage := run.stage(name)) is not None]
    told = "<p>C3PO beside GRPO: same checkpoint, prompts and settings, another loss.</p>" if len(stages) > 1 else ""
    return told + reinforcement_section(stages, run.recipe.c3po_math)


def _card(name: str, title: str, content: str) -> str:
    return f'<section class="card" id="{name}"><h2>{title}</h2>{content}</section>'
