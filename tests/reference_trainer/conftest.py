"""One thread and no deadline an example; a mixture-of-experts model of a few thousand weights, sequences, a stage."""

from typing import Any

import pytest
import torch
from hypothesis import settings

from reference_trainer.config import RLConfig
from reference_trainer.engine import OneProcessEngine, UpdateBatch
from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM
from reference_trainer.rollout import TransformersEngine
from reference_trainer.step import RLTrainer
from reference_trainer.stream import Prompt, PromptStream

settings.register_profile("trainer", deadline=None)
settings.load_profile("trainer")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def parity(prompts: list[Prompt], rollouts: list[Any]) -> list[float]:
    """A verifier: 1 where the tokens of the whole response sum to an even number."""
    return [float(rollout.response.sum() % 2 == 0) for rollout in rollouts]


def build_trainer(reward: Any = parity, dtype: torch.dtype = torch.float32, **sections: dict[str, Any]) -> RLTrainer:
    """A stage of 4 prompts x 4 responses of at most 12 tokens over 10 prompts; ``sections`` change its settings."""
    defaults: dict[str, dict[str, Any]] = {
        "rollout": {"prompts_per_step": 4, "responses_per_prompt": 4, "max_new_tokens": 12},
        "objective": {"token_budget": 60},
        "optimizer": {"learning_rate": 1e-2, "micro_batch_tokens": 100},
    }
    config = RLConfig(seed=5, **{name: values | sections.get(name, {}) for name, values in defaults.items()})
    policy = build_model(dtype=dtype)
    engine = OneProcessEngine(policy, config.objective, config.optimizer)
    stream = PromptStream([Prompt(f"p{i}", (*tuple(range(1, 2 + i % 3)), i)) for i in range(10)], config.seed)
    return RLTrainer(engine, TransformersEngine(policy, 0, max_rows=64), stream, reward, config)


@pytest.fixture
def trainer():
    return build_trainer
