"""Which engine draws the rollouts of a recipe, and its making."""

from collections.abc import Iterable
from inspect import signature
from typing import Any, Literal

from pydantic import Field

from harness.errors import UsageError
from reference_trainer.config import Switches
from reference_trainer.rollout.rollout import RolloutEngine
from reference_trainer.rollout.transformers_engine import TransformersEngine


class RolloutEngineConfig(Switches):
    """The rollout engine of a recipe.

    Attributes:
        kind: ``transformers`` decodes with the model that is trained; ``vllm`` holds a copy on the GPUs.
        max_rows: Most responses decoded at a time.
        tensor_parallel: Ranks, one GPU each, that one copy of the model is split over (vLLM).
        gpu_memory_utilization: Share of each GPU's memory that vLLM may take for weights and key-value cache.
        dtype: Of vLLM's weights and activations.
        enforce_eager: Compile nothing and capture no CUDA graphs: a quicker start, slower tokens.
        sleep: What vLLM does while the trainer updates: 0 keeps its memory, 1 gives the GPU back and keeps the weights
            in host memory, 2 gives up both (vLLM's own levels 1 and 2), for loops in which each ``generate`` follows
            an ``update_weights``.
        router_replay: Have vLLM return the experts that it chose, for the trainer's policy to choose the same. Router
            statistics and losses stay those of the trainer's own choice.
    """

    kind: Literal["transformers", "vllm"] = "transformers"
    max_rows: int = Field(default=256, ge=1)
    tensor_parallel: int = Field(default=1, ge=1)
    gpu_memory_utilization: float = Field(default=0.5, gt=0, le=1)
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    enforce_eager: bool = False
    sleep: Literal[0, 1, 2] = 1
    router_replay: bool = False


def make_rollout_engine(settings: RolloutEngineConfig, model: Any, eos_token_ids: int | Iterable[int]) -> RolloutEngine:
    """The engine that ``settings`` name, for the policy ``model``.

    Raises:
        UsageError: A missing extra, or settings that the engine or the model cannot have.
    """
    if settings.router_replay and "routed_experts" not in signature(model.base_model.forward).parameters:
        raise UsageError(
            f"rollout_engine: router_replay needs a model that takes experts from outside, and "
            f"{type(model).__name__} does not; leave it out"
        )
    if settings.kind == "vllm":
        from reference_trainer.rollout.vllm_engine import VllmEngine

        return VllmEngine(model.config, eos_token_ids, settings)
    if settings.router_replay:
        raise UsageError(
            "rollout_engine: router_replay repeats the experts that vLLM chose, and the transformers engine decodes "
            "with the trained model itself; set kind to vllm or leave router_replay out"
        )
    return TransformersEngine(model, eos_token_ids, settings.max_rows)
