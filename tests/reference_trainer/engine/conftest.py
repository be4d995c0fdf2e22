"""A mixture-of-experts model of a few thousand weights, and random sequences for it."""

from typing import Any

import pytest
import torch

from reference_trainer.engine import UpdateBatch
from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM

VOCABULARY = 23


def build_model(seed: int = 0, dtype: torch.dtype = torch.float64, **changes: Any) -> BailingMoeForCausalLM:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 3,
        "first_k_dense_replace": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "num_shared_experts": 1,
        "moe_intermediate_size": 8,
        "use_bias": False,
        "initializer_range": 0.3,
        "max_position_embeddings": 64,
        **changes,
    }
    return BailingMoeForCausalLM(BailingMoeConfig(**settings)).to(dtype)


def build_batch(
    lengths: list[int], seed: int = 0, divisor: float = 20.0, dtype: torch.dtype = torch.float64
) -> UpdateBatch:
    generator = torch.Generator().manual_seed(seed)

    def ids(size: int) -> torch.Tensor:
        return torch.randint(VOCABULARY, (size,), generator=generator)

    prompts = [ids(int(torch.randint(1, 6, (1,), generator=generator))) for _ in lengths]
    return UpdateBatch(
        prompts=prompts,
        responses=[ids(k) for k in lengths],
        lengths=torch.tensor(lengths) + torch.randint(0, 3, (len(lengths),), generator=generator),
        advantages=torch.randn(len(lengths), dtype=torch.float64, generator=generator),
        divisor=divisor,
        tokens=sum(lengths),
        update_responses=len(lengths) + 2,
        sampling_logprobs=[-torch.rand(k, dtype=dtype, generator=generator) * 4 for k in lengths],
        old_logprobs=[-torch.rand(k, dtype=dtype, generator=generator) * 4 - 1 for k in lengths],
    )


@pytest.fixture
def model():
    return build_model


@pytest.fixture
def batch():
    return build_batch
