"""Fixtures of the model's tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="the model needs the extra 'train'")

from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM, load_hub_weights
from tests.reference_trainer.model.shapes import hub_config, hub_weights, write_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tiny hub checkpoint and returns its folder."""

    def write(**changes: Any) -> Path:
        c = hub_config(**changes)
        return write_checkpoint(tmp_path / "hub", c, hub_weights(c))

    return write


@pytest.fixture
def build() -> Callable[..., BailingMoeForCausalLM]:
    """Builds a tiny model in memory, with the weights of ``hub_weights``."""

    def make(dtype: torch.dtype = torch.float32, seed: int = 0, **changes: Any) -> BailingMoeForCausalLM:
        own = {key: changes.pop(key) for key in ("norm_head_detach",) if key in changes}
        c = hub_config(**changes)
        model = BailingMoeForCausalLM(BailingMoeConfig(**c, **own)).to(dtype)
        weights = hub_weights(c, seed)
        load_hub_weights(model, {name: tensor.to(dtype) for name, tensor in weights.items()})
        return model.eval()

    return make
