"""Which engine draws the rollouts of a recipe, and its making."""

from collections.abc import Iterable
from pathlib import Path
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
        tensor_parallel: GPUs that one copy of the model is split over (vLLM).
        gpu_memory_utilization: Share of each GPU's memory that vLLM may take for weights and key-value cache.
        sleep: Free vLLM's GPU memory while the trainer updates (colocated), and take it again for the next rollout.
        router_replay: Have vLLM return the experts that it chose, for the trainer to choose the same.
    """

    kind: Literal["transformers", "vllm"] = "transformers"
    max_rows: int = Field(default=256, ge=1)
    tensor_parallel: int = Field(default=1, ge=1)
    gpu_memory_utilization: float = Field(default=0.5, gt=0, le=1)
    sleep: bool = True
    router_replay: bool = False


def make_rollout_engine(
    settings: RolloutEngineConfig, model: Any, eos_token_ids: int | Iterable[int], checkpoint: Path | None = None
) -> RolloutEngine:
    """The engine that ``settings`` name.

    Args:
        settings: The recipe's section.
        model: The policy that is trained.
        eos_token_ids: Token or tokens that end a response.
        checkpoint: Folder in hub format that vLLM starts from; any weights of the model's shape will do, because
            ``update_weights`` brings the current ones before each rollout. The transformers engine reads none.

    Raises:
        UsageError: A missing extra or checkpoint, or settings that the engine cannot have.
    """
    if settings.kind == "vllm":
        raise UsageError("rollout_engine: kind 'vllm' cannot be made here yet; set kind to transformers")
    if settings.router_replay:
        raise UsageError(
            "rollout_engine: router_replay repeats the experts that vLLM chose, and the transformers engine decodes "
            "with the trained model itself; set kind to vllm or leave router_replay out"
        )
    return TransformersEngine(model, eos_token_ids, settings.max_rows)
