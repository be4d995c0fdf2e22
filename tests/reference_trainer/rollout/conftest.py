"""A tiny policy and helpers of the rollout tests."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM, load_hub_weights
from tests.reference_trainer.model.shapes import hub_config, hub_weights

END = 3


@pytest.fixture(scope="session")
def policy() -> Callable[..., BailingMoeForCausalLM]:
    """Builds a tiny model that ends a response every dozen tokens or so."""

    def make(**changes: Any) -> BailingMoeForCausalLM:
        c = hub_config(vocab_size=19, norm_head=True, **changes)
        model = BailingMoeForCausalLM(BailingMoeConfig(**c))
        load_hub_weights(model, hub_weights(c))
        # Flat enough a distribution that every token has a chance.
        model.lm_head.normalise = False
        with torch.no_grad():
            model.lm_head.weight.mul_(0.7)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def prompts() -> list[torch.Tensor]:
    """Prompts of different lengths, one of them twice."""
    generator = torch.Generator().manual_seed(7)
    drawn = [torch.randint(4, 19, (n,), generator=generator) for n in (5, 1, 9, 3, 5, 12)]
    return [*drawn, drawn[2].clone()]
