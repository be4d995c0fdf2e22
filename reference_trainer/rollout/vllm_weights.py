"""Weights on their way from the trainer into vLLM: what is sent, and where vLLM computes another model with it."""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from reference_trainer.model import BailingMoeConfig

if TYPE_CHECKING:
    from vllm.v1.worker.gpu_worker import Worker


def refuse_other_arithmetic(config: Any) -> None:
    """Refuses configurations that vLLM's ``BailingMoeForCausalLM`` (0.24 to 0.33) loads and computes otherwise.

    Raises:
        UsageError: One of them, with the setting.
    """
    if not isinstance(config, BailingMoeConfig):
        return
    rope = config.rope_parameters or {}
    factor = rope.get("factor", 1.0)
    yarn = 1.0 if factor <= 1 else 0.1 * math.log(factor) + 1.0
    reasons = {
        "use_bias: its MLPs get a bias as well": config.use_bias,
        "num_experts: a model without experts is not built": config.num_experts is None,
        "num_experts_per_tok 1 with norm_topk_prob: the only weight becomes 1": (
            config.norm_topk_prob and config.num_experts_per_tok == 1
        ),
        "tie_word_embeddings: tied weights do not survive an update in place": config.tie_word_embeddings,
        "rope_scaling 'dynamic': its base does not grow with the length": rope.get("rope_type") == "dynamic",
        "rope_scaling 'yarn': attention_factor and mscale are not read": (
            rope.get("rope_type") == "yarn" and not math.isclose(rope.get("attention_factor", yarn), yarn)
        ),
        "hidden_act: only silu is there": config.hidden_act != "silu",
    }
    for reason, unlike in reasons.items():
        if unlike:
            raise UsageError(
                f"rollout: vLLM computes another model with {reason}; sample with kind: transformers instead"
            )


def prepared_weights(
    weights: Iterable[tuple[str, Tensor]], norm_head: bool, dtype: torch.dtype, device: torch.device
) -> Iterator[tuple[str, Tensor]]:
    """(hub name, tensor) as they are sent: copies in vLLM's type and place, the head as it is multiplied.

    Copies, because vLLM keeps what it is given until a layer is complete, and a trainer that shards its weights frees
    them before. With ``norm_head`` the head is divided by its norms here, in float32 at least: vLLM up to 0.24 leaves
    that out, and the engine is started with ``norm_head`` false in every version.
    """
    for name, tensor in weights:
        sent = tensor.detach()
        if norm_head and name == "lm_head.weight":
            wide = sent.to(torch.promote_types(sent.dtype, torch.float32))
            sent = wide / (torch.linalg.vector_norm(wide, dim=0) + 1e-7)
        yield name, sent.to(device=device, dtype=dtype, copy=True)


def load_in_worker(worker: "Worker", weights: Iterable[tuple[str, Tensor]], norm_head: bool) -> list[str]:
    """Runs in vLLM's worker: puts the weights where the old ones are, kernel layouts included.

    Returns:
        Names of norms that vLLM holds otherwise afterwards. Every layer has two, no version rearranges them, and they
        tell whether what was sent is what vLLM computes with.
    """
    from vllm.config import set_current_vllm_config

    device = worker.device
    assert device is not None
    sent: dict[str, Tensor] = {}

    def noted() -> Iterator[tuple[str, Tensor]]:
        dtype = worker.model_config.dtype
        assert isinstance(dtype, torch.dtype)
        for name, tensor in prepared_weights(weights, norm_head, dtype, device):
            if name.endswith("norm.weight"):
                sent[name] = tensor
            yield name, tensor

    with set_current_vllm_config(worker.vllm_config):
        worker.reload_weights(weights_iterator=noted())
    if device.type == "cpu":
        _pack_experts(worker.get_model())
    held = dict(worker.get_model().named_parameters())
    return [name for name, tensor in sent.items() if name in held and not torch.equal(held[name].data, tensor)]


def _pack_experts(model: nn.Module) -> None:
    """Packs new expert weights for the CPU's kernels, which vLLM (to 0.33) does on the first load only."""
    for module in model.modules():
        kernel = getattr(getattr(module, "quant_method", None), "moe_kernel", None)
        if kernel is not None:
            kernel.fused_experts.process_weights_after_loading(module)
