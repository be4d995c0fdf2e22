"""Checks of a checkpoint in hub layout: whole, finite, and the same after a round trip through the model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harness.errors import UsageError
from reference_trainer.export import WEIGHTS, load_checkpoint_model
from reference_trainer.gates.record import Check
from reference_trainer.model import hub_weights
from reference_trainer.stages import StageRun

_LOOK = "train the stage again, and look at what exported it"


def check_checkpoint(run: StageRun, folder: Path, ids: torch.Tensor) -> Iterator[Check]:
    """Every weight is there and finite, so are the logits of ``ids`` [1, S], and hub -> model -> hub is bitwise."""
    try:
        model = load_checkpoint_model(folder, run.recipe.model)
    except UsageError as error:
        yield Check("checkpoint.loads", False, folder.name, "a checkpoint with every weight", str(error))
        return
    yield Check("checkpoint.loads", True, folder.name, "a checkpoint with every weight")
    stored = _stored(folder)
    bad = sorted(name for name, tensor in stored.items() if not torch.isfinite(tensor).all())
    yield Check(
        "checkpoint.weights_finite", not bad, len(bad), "0 tensors with a value that is not finite", ", ".join(bad[:3])
    )
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    wrong = int((~torch.isfinite(logits)).sum())
    yield Check("checkpoint.logits_finite", wrong == 0, wrong, "0 logits that are not finite", _LOOK if wrong else "")
    again = dict(hub_weights(model))
    changed = sorted(
        name
        for name in stored.keys() | again.keys()
        if name not in stored or name not in again or not _same_bits(stored[name], again[name])
    )
    yield Check(
        "checkpoint.round_trip",
        not changed,
        len(changed),
        "0 tensors that hub -> model -> hub changes",
        ", ".join(changed[:3]),
    )


def _stored(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {
        name: tensor
        for file in sorted(folder.glob(f"{Path(WEIGHTS).stem}*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def _same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    bits: Any = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    return torch.equal(a.contiguous().view(bits), b.contiguous().view(bits))
