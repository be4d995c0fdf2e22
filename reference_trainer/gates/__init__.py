"""Gates: a finished stage passes when its properties hold on the real artefacts and its scores have not dropped."""

from collections.abc import Iterator

import torch

from reference_trainer.gates.checkpoints import check_checkpoint
from reference_trainer.gates.gate import StageGate
from reference_trainer.gates.metrics import check_supervised_metrics
from reference_trainer.gates.record import Check
from reference_trainer.gates.reinforcement import check_reinforcement
from reference_trainer.pipeline import Gate
from reference_trainer.recipe import Recipe
from reference_trainer.stages import StageRun
from reference_trainer.stages.sources import load_tokenizer


def _distill(run: StageRun) -> Iterator[Check]:
    yield from check_supervised_metrics(run, run.recipe.distill, len(load_tokenizer(run)))
    for epoch in range(1, run.recipe.distill.epochs + 1):
        yield from check_checkpoint(run, run.folder / f"epoch-{epoch}", _ids(run))


def _select(run: StageRun) -> Iterator[Check]:
    yield from check_checkpoint(run, run.folder / "checkpoint", _ids(run))


def _c3po_math(run: StageRun) -> Iterator[Check]:
    yield from check_reinforcement(run, run.recipe.c3po_math, "select")


def _c3po_code_science(run: StageRun) -> Iterator[Check]:
    yield from check_reinforcement(run, run.recipe.c3po_code_science, "c3po-math")


def _general(run: StageRun) -> Iterator[Check]:
    assert run.recipe.general is not None
    yield from check_supervised_metrics(run, run.recipe.general, len(load_tokenizer(run)))
    yield from check_checkpoint(run, run.folder / f"epoch-{run.recipe.general.epochs}", _ids(run))


def _checkpoint(_: Recipe) -> str:
    return "checkpoint"


def _last_epoch(recipe: Recipe) -> str:
    assert recipe.general is not None
    return f"epoch-{recipe.general.epochs}"


def _ids(run: StageRun) -> torch.Tensor:
    return torch.arange(min(32, len(load_tokenizer(run))))[None]


GATES: dict[str, Gate] = {
    "distill": StageGate([_distill], lambda recipe: f"epoch-{recipe.distill.epochs}"),
    "select": StageGate([_select], _checkpoint, ceilings=True),
    "c3po-math": StageGate([_c3po_math], _checkpoint),
    "c3po-code-science": StageGate([_c3po_code_science], _checkpoint),
    "general": StageGate([_general], _last_epoch, after="c3po-code-science"),
}
