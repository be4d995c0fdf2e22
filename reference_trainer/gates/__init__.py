"""Gates: a finished stage passes when its properties hold on the real artefacts and its scores have not dropped.

Each gate first compares the stage's files with their manifest. Its properties are then checked on these files: this
checkpoint, this batch, this metrics file. At last its held-out scores, drawn by the harness, are held against the
recipe's baseline. ``record`` says what a gate leaves behind.
"""

from collections.abc import Iterator

from reference_trainer.gates.gate import StageGate
from reference_trainer.gates.record import Check
from reference_trainer.gates.reinforcement import check_reinforcement
from reference_trainer.gates.selection import check_select
from reference_trainer.gates.supervised import check_distill, check_general
from reference_trainer.pipeline import Gate
from reference_trainer.recipe import Recipe
from reference_trainer.stages import StageRun


def check_c3po_math(run: StageRun) -> Iterator[Check]:
    """All checks of stage 1."""
    return check_reinforcement(run, run.recipe.c3po_math, "select")


def check_c3po_code_science(run: StageRun) -> Iterator[Check]:
    """All checks of stage 2."""
    return check_reinforcement(run, run.recipe.c3po_code_science, "c3po-math")


def _checkpoint(_: Recipe) -> str:
    return "checkpoint"


def _last_distilled(recipe: Recipe) -> str:
    return f"epoch-{recipe.distill.epochs}"


def _last_general(recipe: Recipe) -> str:
    assert recipe.general is not None  # its gate is that of a stage that the recipe has
    return f"epoch-{recipe.general.epochs}"


STAGE_GATES: dict[str, StageGate] = {
    "distill": StageGate([check_distill], _last_distilled),
    "select": StageGate([check_select], _checkpoint, ceilings=True),
    "c3po-math": StageGate([check_c3po_math], _checkpoint),
    "c3po-code-science": StageGate([check_c3po_code_science], _checkpoint),
    "general": StageGate([check_general], _last_general, after="c3po-code-science"),
}
GATES: dict[str, Gate] = {**STAGE_GATES}

__all__ = ["GATES", "STAGE_GATES", "Check", "StageGate"]
