"""BailingMoE v1 for transformers 5: importing this package registers ``bailing_moe`` with AutoConfig and AutoModel."""

from harness.errors import UsageError

try:
    import torch  # noqa: F401
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
    from transformers.conversion_mapping import register_checkpoint_conversion_mapping
except ImportError as error:
    raise UsageError(
        f"The model needs torch and transformers 5 ({error}); install them with: pip install 'ringlite[train]'"
    ) from error

from reference_trainer.model.configuration import BailingMoeConfig
from reference_trainer.model.conversion import hub_weights, load_hub_weights, weight_converters
from reference_trainer.model.modeling import BailingMoeForCausalLM, BailingMoeModel
from reference_trainer.model.parameters import ParameterCount, count_parameters


def register() -> None:
    """Makes ``bailing_moe`` known to transformers; the entry point by which each of vLLM's processes learns of it."""
    AutoConfig.register("bailing_moe", BailingMoeConfig, exist_ok=True)
    AutoModel.register(BailingMoeConfig, BailingMoeModel, exist_ok=True)
    AutoModelForCausalLM.register(BailingMoeConfig, BailingMoeForCausalLM, exist_ok=True)
    register_checkpoint_conversion_mapping("bailing_moe", weight_converters(), overwrite=True)


register()

__all__ = [
    "BailingMoeConfig",
    "BailingMoeForCausalLM",
    "BailingMoeModel",
    "ParameterCount",
    "count_parameters",
    "hub_weights",
    "load_hub_weights",
    "register",
]
