"""What the ranks train and how: a two-layer mixture of experts, five supervised updates, five C3PO steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reference_trainer.config import ObjectiveConfig, OptimizerConfig, RLConfig
from reference_trainer.engine import UpdateBatch, UpdateEngine
from reference_trainer.engine.settings import EngineConfig, make_engine
from reference_trainer.loop import run
from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM
from reference_trainer.rollout import TransformersEngine
from reference_trainer.step import RLTrainer
from reference_trainer.stream import Prompt, PromptStream

VOCABULARY, EXPERTS, STEPS = 23, 8, 5

# Without momentum AdamW's first moment is the gradient of the last update. Epsilon lies far above the rounding of
# gradients near zero, which AdamW would otherwise turn into whole steps.
PLAIN = {"learning_rate": 5e-3, "betas": (0.0, 0.999), "epsilon": 1e-3, "weight_decay": 0.1}
SFT = ObjectiveConfig(
    loss="sft", kl_coefficient=0, entropy_coefficient=0, balance_coefficient=0.5, z_coefficient=0.1, token_budget=None
)
# Passes of at most 30 tokens in forwards of at most 12: several forwards behind one backward, several backwards a step.
SFT_OPTIMIZER = OptimizerConfig(**PLAIN, micro_batch_tokens=30, block_tokens=12)
RL = RLConfig.model_validate(
    {
        "seed": 5,
        "rollout": {"prompts_per_step": 4, "responses_per_prompt": 4, "max_new_tokens": 12},
        "objective": {
            "token_budget": 60,
            "kl_coefficient": 0.1,
            "reference_policy": "initial",
            "entropy_coefficient": 0.1,
            "balance_coefficient": 0.5,
            "z_coefficient": 0.1,
        },
        "optimizer": {**PLAIN, "micro_batch_tokens": 60, "updates_per_rollout": 2},
    }
)


class ListedExperts(nn.Module):
    """The experts of a layer as modules of their own, of which only those with tokens run."""

    def __init__(self, size: int, width: int):
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, size)) for _ in range(EXPERTS)
        )

    def forward(self, hidden: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        output = torch.zeros_like(hidden)
        for number in chosen.unique().tolist():
            rows, places = (chosen == number).nonzero(as_tuple=True)
            part = self.experts[number](hidden[rows]) * weights[rows, places, None]
            output = output.index_add(0, rows, part)
        return output


def build_model(seed: int = 0, *, listed: bool = False) -> BailingMoeForCausalLM:
    torch.manual_seed(seed)
    config = BailingMoeConfig(
        vocab_size=VOCABULARY,
        hidden_size=33,  # odd, so that shards of two ranks need padding
        head_dim=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_experts=EXPERTS,
        num_experts_per_tok=2,
        num_shared_experts=1,
        moe_intermediate_size=8,
        use_bias=True,
        initializer_range=0.3,
        max_position_embeddings=64,
    )
    config._experts_implementation = "eager"
    model = BailingMoeForCausalLM(config)
    if listed:
        for layer in model.model.layers:
            layer.mlp.experts = ListedExperts(config.hidden_size, config.moe_intermediate_size)
    return model


def batches() -> list[UpdateBatch]:
    """Updates of many sequences and of one: then the other rank has none, and most experts of either get no token."""
    generator = torch.Generator().manual_seed(0)

    def batch(lengths: list[int]) -> UpdateBatch:
        return UpdateBatch(
            prompts=[torch.randint(VOCABULARY, (1 + i % 3,), generator=generator) for i in range(len(lengths))],
            responses=[torch.randint(VOCABULARY, (k,), generator=generator) for k in lengths],
            lengths=torch.tensor(lengths),
            advantages=torch.zeros(len(lengths)),
            divisor=float(sum(lengths)),
            tokens=sum(lengths),
            update_responses=len(lengths),
        )

    return [batch(lengths) for lengths in ([5, 1, 7, 3, 3, 8, 2], [2], [9, 2], [4, 4, 4, 4], [1, 1, 1])]


def supervised(settings: EngineConfig, *, listed: bool = False) -> tuple[UpdateEngine, list[dict[str, Any]]]:
    """Five supervised updates; after each the metrics and the gradient."""
    engine = make_engine(settings, build_model(listed=listed), SFT, SFT_OPTIMIZER)
    rows = []
    for batch in batches():
        [share] = engine.prepare([batch.share(engine.rank, engine.world_size)])
        metrics = engine.update(share)
        rows.append({"metrics": metrics, "gradient": gradient(engine)})
    return engine, rows


def gradient(engine: UpdateEngine) -> dict[int, torch.Tensor]:
    """The clipped gradient of the last update, by the number of the parameter."""
    state = engine.state_dict()["optimizer"]["state"]
    return {number: entry["exp_avg"].clone() for number, entry in state.items()}


def parity(prompts: Any, rollouts: Any) -> list[float]:
    """Rewards 1 where the tokens of the response sum to an even number; draws from torch's generator on its way."""
    torch.rand(())
    return [float(rollout.response.sum() % 2 == 0) for rollout in rollouts]


def trainer(settings: EngineConfig, **sections: Any) -> RLTrainer:
    config = RL.model_copy(update=sections)
    policy = build_model()
    engine = make_engine(settings, policy, config.objective, config.optimizer, initial=build_model(1))
    stream = PromptStream([Prompt(f"p{i}", (*range(1, 2 + i % 3), i)) for i in range(10)], config.seed)
    torch.manual_seed(7)
    return RLTrainer(engine, TransformersEngine(policy, 0, max_rows=64), stream, parity, config)


def reinforce(settings: EngineConfig, folder: Path, steps: int = STEPS) -> RLTrainer:
    stage = trainer(settings)
    run(stage, steps, folder, keep=steps, other_threads=True)
    return stage


def weights_of(engine: UpdateEngine) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().float().cpu().clone() for name, tensor in engine.weights()}


def deepspeed(stage: int, **settings: Any) -> EngineConfig:
    """ZeRO of this stage, without the shortcut by which DeepSpeed leaves small weights whole on every rank."""
    raw = {"zero_optimization": {"stage3_param_persistence_threshold": 0}, "zero_force_ds_cpu_optimizer": False}
    return EngineConfig(kind="deepspeed", zero_stage=stage, deepspeed=raw, **settings)


def nan_batch() -> UpdateBatch:
    return replace(batches()[0], divisor=float("nan"))


VARIANTS = {
    "zero-1": deepspeed(1),
    "zero-2": deepspeed(2),
    "zero-3": deepspeed(3),
    "zero-2, checkpointing": deepspeed(2, activation_checkpointing=True),
    "zero-2, offload": deepspeed(2, offload="optimizer"),
    "zero-3, offload, checkpointing": deepspeed(3, offload="parameters", activation_checkpointing=True),
}
HALF = {f"zero-{stage}, bfloat16": deepspeed(stage, dtype="bfloat16") for stage in (1, 2, 3)}
