"""Which executor trains, and how it spreads the model over ranks: a recipe's ``engine`` section."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from reference_trainer.config import ObjectiveConfig, OptimizerConfig, Switches
from reference_trainer.engine.one_process import OneProcessEngine
from reference_trainer.engine.update import UpdateEngine

Offload = Literal["none", "optimizer", "parameters"]


class EngineConfig(Switches):
    """The executor of a stage. The same update comes out of every one; memory, speed and number of ranks differ.

    Attributes:
        kind: ``one_process`` trains with torch alone; ``deepspeed`` on as many ranks as ``torchrun`` or ``deepspeed``
            started.
        zero_stage: What DeepSpeed shards over ranks: 0 nothing, 1 optimiser states, 2 gradients too, 3 weights too.
        offload: What lies in the host's memory: optimiser states (ZeRO 1 to 3), or ``parameters`` too (ZeRO 3).
        dtype: Of the weights that are computed with; ``bfloat16`` keeps float32 master weights in the optimiser.
        activation_checkpointing: Recompute each layer's activations in the backward.
        timeout_minutes: Longest wait of one rank for the others, such as for the longest response of a rollout.
        deepspeed: Raw DeepSpeed settings, merged last over what the fields above make.
    """

    kind: Literal["one_process", "deepspeed"] = "one_process"
    zero_stage: int = Field(default=2, ge=0, le=3)
    offload: Offload = "none"
    dtype: Literal["float32", "bfloat16"] = "float32"
    activation_checkpointing: bool = False
    timeout_minutes: int = Field(default=120, ge=1)
    deepspeed: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "one_process":
            if self.offload != "none":
                raise ValueError(f"offload '{self.offload}' needs kind 'deepspeed'")
            if self.dtype != "float32":
                raise ValueError(
                    f"dtype '{self.dtype}' needs kind 'deepspeed', which keeps float32 master weights; in one process "
                    "set optimizer.autocast to bfloat16"
                )
        elif self.offload == "parameters" and self.zero_stage < 3:
            raise ValueError(f"offload 'parameters' needs zero_stage 3, not {self.zero_stage}")
        elif self.offload == "optimizer" and self.zero_stage < 1:
            raise ValueError("offload 'optimizer' needs a zero_stage of 1 to 3, not 0")
        return self


def make_engine(
    settings: EngineConfig,
    model: Any,
    objective: ObjectiveConfig,
    optimizer: OptimizerConfig,
    temperature: float = 1.0,
    initial: Any = None,
) -> UpdateEngine:
    """The engine that ``settings`` ask for; the other arguments are those of ``UpdateEngine``.

    Raises:
        UsageError: DeepSpeed is asked for and missing.
    """
    if settings.activation_checkpointing:
        model.gradient_checkpointing_enable()
    return OneProcessEngine(model, objective, optimizer, temperature, initial)
