"""Which executor trains, and how it spreads the model over ranks: a recipe's ``engine`` section."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig, OptimizerConfig, Switches
from reference_trainer.engine.one_process import OneProcessEngine
from reference_trainer.engine.update import UpdateEngine

Offload = Literal["none", "optimizer", "parameters"]

# DeepSpeed settings that another setting of the recipe decides, or that the update's arithmetic rests on.
_DECIDED = {
    "bf16": "engine.dtype",
    "bfloat16": "engine.dtype",
    "fp16": "engine.dtype",
    "gradient_accumulation_steps": "optimizer.micro_batch_tokens",
    "gradient_clipping": "optimizer.max_grad_norm",
    "managed_gradient_accumulation": "optimizer.micro_batch_tokens",
    "optimizer": "the optimizer section",
    "scheduler": "optimizer.schedule",
    "train_batch_size": "optimizer.micro_batch_tokens",
    "train_micro_batch_size_per_gpu": "optimizer.micro_batch_tokens",
    "zero_optimization.stage": "engine.zero_stage",
}


class EngineConfig(Switches):
    """The executor of a stage. The same update comes out of every one; memory, speed and number of ranks differ.

    Attributes:
        kind: ``one_process`` trains with torch alone; ``deepspeed`` on as many ranks as ``torchrun`` or ``deepspeed``
            started.
        zero_stage: What DeepSpeed shards over ranks: 1 the optimiser's states, 2 the gradients too, 3 the weights too.
        offload: What lies in the host's memory: optimiser states, or ``parameters`` too (ZeRO 3 only).
        dtype: Of the weights that are computed with; ``bfloat16`` keeps float32 master weights in the optimiser.
        activation_checkpointing: Recompute each layer's activations in the backward.
        timeout_minutes: Longest wait of one rank for the others, such as for the longest response of a rollout.
        deepspeed: Raw DeepSpeed settings, merged last over what the fields above make.
    """

    kind: Literal["one_process", "deepspeed"] = "one_process"
    zero_stage: int = Field(default=2, ge=1, le=3)
    offload: Offload = "none"
    dtype: Literal["float32", "bfloat16"] = "float32"
    activation_checkpointing: bool = False
    timeout_minutes: int = Field(default=120, ge=1)
    deepspeed: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "deepspeed":
            if self.offload == "parameters" and self.zero_stage < 3:
                raise ValueError(f"offload 'parameters' needs zero_stage 3, not {self.zero_stage}")
            for key, owner in _DECIDED.items():
                if _has(self.deepspeed, key.split(".")):
                    raise ValueError(f"the raw DeepSpeed setting '{key}' is decided by {owner}: set it there")
        elif self.offload != "none" or self.deepspeed:
            raise ValueError("offload and deepspeed need kind 'deepspeed'")
        elif self.dtype != "float32":
            raise ValueError(
                f"dtype '{self.dtype}' needs kind 'deepspeed', which keeps float32 master weights; in one process set "
                "optimizer.autocast to bfloat16"
            )
        return self


def deepspeed_config(engine: EngineConfig, optimizer: OptimizerConfig) -> dict[str, Any]:
    """DeepSpeed's configuration for these settings; the raw ones win.

    The trainer splits an update into passes by tokens and tells DeepSpeed where it ends, so DeepSpeed's own counting
    of micro-batches is off. Gradients are summed in float32 whatever the weights are.
    """
    zero: dict[str, Any] = {"stage": engine.zero_stage}
    if engine.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if engine.offload == "parameters":
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": optimizer.max_grad_norm or 0.0,
        "zero_optimization": zero,
        "communication_data_type": "fp32",
        "data_types": {"grad_accum_dtype": "fp32"},
        "steps_per_print": None,
    }
    if engine.dtype == "bfloat16":
        config["bf16"] = {"enabled": True}
    return _merge(config, engine.deepspeed)


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
        UsageError: DeepSpeed is asked for and missing, or told two things at once.
    """
    if settings.activation_checkpointing:
        model.gradient_checkpointing_enable()
    if settings.kind == "one_process":
        return OneProcessEngine(model, objective, optimizer, temperature, initial)
    if optimizer.autocast != "none" and settings.zero_stage == 3:
        raise UsageError(
            f"optimizer.autocast '{optimizer.autocast}' keeps a copy of every weight that ZeRO 3 gathers: set "
            "engine.dtype to bfloat16 instead"
        )
    from reference_trainer.engine.deepspeed import DeepSpeedEngine

    return DeepSpeedEngine(model, objective, optimizer, temperature, initial, engine=settings)


def _merge(base: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    """``raw`` over ``base``, table by table."""
    merged = dict(base)
    for key, value in raw.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _has(table: Any, path: list[str]) -> bool:
    for key in path:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True
