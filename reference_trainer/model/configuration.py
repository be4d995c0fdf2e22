"""The configuration of BailingMoE v1 (Ling-lite, Ring-lite): the keys of the hub's ``config.json``."""

import math
from typing import Any, ClassVar

from transformers import PreTrainedConfig
from transformers.utils import logging

from harness.errors import UsageError

logger = logging.get_logger(__name__)

_ROPE_TYPES = ("default", "linear", "dynamic", "yarn")

# Keys that other members of the family (Ling 2.0, Ring-linear, Ming) carry, with the values under which they change
# nothing. Any other value means a model that this architecture is not, and is refused.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "multi_gate": (False,),
    "norm_softmax": (False,),
    "use_qk_norm": (False,),
    "use_rmsnorm": (True,),
    "score_function": ("softmax",),
    "scoring_func": ("softmax",),
    "moe_router_enable_expert_bias": (False,),
    "routed_scaling_factor": (1, 1.0),
    "n_group": (0, 1),
    "topk_group": (0, 1),
    "partial_rotary_factor": (1, 1.0),
    "rope_interleave": (False,),
    "moe_shared_expert_intermediate_size": (),
    "num_nextn_predict_layers": (0,),
    "mtp_loss_scaling_factor": (0, 0.0),
    "layer_group_size": (0, 1),
    "linear_silu": (False,),
    "q_lora_rank": (),
    "kv_lora_rank": (),
}
_ARCHITECTURES = ("BailingMoeForCausalLM", "BailingMoeModel")


class BailingMoeConfig(PreTrainedConfig):
    """Shape and switches of a BailingMoE v1 model.

    Names and defaults are those of the authors' ``configuration_bailing_moe.py`` (inclusionAI/Ling), because a
    ``config.json`` may leave a key out and mean that default. Two differ on purpose: ``attention_dropout`` is 0
    (0.1 there, 0 in every released checkpoint), and ``pad_token_id`` is None (there an id of the real vocabulary).

    Args:
        intermediate_size: Width of the dense MLP of the layers below ``first_k_dense_replace``; needed only by them.
        num_key_value_heads: Groups of keys and values; 0 or None means one per attention head.
        head_dim: Width of one head, apart from ``hidden_size / num_attention_heads``, which is its default.
        use_qkv_bias: Bias on ``attention.query_key_value``.
        use_bias: Bias on ``attention.dense``, and on nothing else.
        norm_head: Divide each column of ``lm_head`` by its L2 norm over the vocabulary, plus 1e-7, in the forward.
        norm_head_detach: Take that norm as a constant in the backward, as the authors' training path does. False
            gives the exact gradient.
        first_k_dense_replace: The first layers that have a dense MLP in place of experts.
        num_experts: Routed experts a layer; None makes every layer dense.
        num_shared_experts: Width of the one ungated shared MLP, in units of ``moe_intermediate_size``; 0 means none.
        norm_topk_prob: Renormalise the chosen experts' probabilities to sum to 1, when more than one is chosen.
        rope_parameters: transformers 5's form of ``rope_theta`` and ``rope_scaling``; the two hub keys are read and
            written as well. Scaling types: linear, dynamic, yarn.
        embedding_dropout: Read and kept, without effect in the authors' code and here; so is ``output_dropout``.
        use_sliding_window: No published implementation masks by a window: refused where a window could matter.

    Raises:
        UsageError: A value is missing, contradictory, or asks for something this architecture does not have.
    """

    model_type = "bailing_moe"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["past_key_values"]
    # So that config.json on disk is explicit, and never relies on a reader's defaults.
    has_no_defaults_at_init = True
    default_theta = 10_000.0
    # Tools read this of every model outside transformers (TRL without asking whether it is there).
    auto_map: ClassVar[dict[str, str]] = {}

    vocab_size: int = 30592
    hidden_size: int = 1024
    intermediate_size: int | None = None
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    num_key_value_heads: int | None = 0
    hidden_act: str = "silu"
    use_qkv_bias: bool = False
    use_bias: bool = True
    rms_norm_eps: float = 1e-5
    norm_head: bool = False
    norm_head_detach: bool = True
    tie_word_embeddings: bool = False
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    output_dropout: float = 0.0
    initializer_range: float = 0.02
    max_position_embeddings: int = 16384
    rope_parameters: dict[str, Any] | None = None
    use_cache: bool = True
    use_sliding_window: bool = False
    sliding_window: int | None = None
    max_window_layers: int = 28
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    num_experts: int | None = 16
    num_shared_experts: int | None = 0
    num_experts_per_tok: int = 2
    norm_topk_prob: bool = True
    moe_intermediate_size: int | None = None
    first_k_dense_replace: int = 0
    head_dim: int | None = None
    output_router_logits: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Resolves the derived values and refuses what the model does not implement."""
        self._refuse_other_architectures(kwargs)
        # The class is registered with transformers: hub code that the folder names is never run, nor written back.
        kwargs.pop("auto_map", None)
        self.num_key_value_heads = self.num_key_value_heads or self.num_attention_heads
        self.num_shared_experts = self.num_shared_experts or 0
        self.num_experts = self.num_experts or None
        if self.num_attention_heads < 1 or self.num_attention_heads % self.num_key_value_heads:
            raise UsageError(
                f"config: num_attention_heads ({self.num_attention_heads}) must be a positive multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})."
            )
        self.head_dim = self.head_dim or self.hidden_size // self.num_attention_heads
        if self.head_dim % 2:
            raise UsageError(f"config: head_dim ({self.head_dim}) must be even, because RoPE rotates it in two halves.")
        self._check_widths()
        self._resolve_window()
        _check_rope_scaling(kwargs, self.rope_parameters)
        super().__post_init__(**kwargs)

    @property
    def rope_theta(self) -> float:
        """The base of the rotary frequencies."""
        return float((self.rope_parameters or {}).get("rope_theta", self.default_theta))

    @rope_theta.setter
    def rope_theta(self, value: float) -> None:  # vLLM writes back what it has read
        self.rope_parameters = {**(self.rope_parameters or {}), "rope_theta": value}

    def is_moe_layer(self, layer: int) -> bool:
        """Whether the layer with this index (from 0) routes its tokens to experts."""
        return self.num_experts is not None and layer >= self.first_k_dense_replace

    def to_dict(self) -> dict[str, Any]:
        """Returns every key, RoPE in both forms: ``rope_parameters`` and the hub's two keys that older readers know."""
        output: dict[str, Any] = super().to_dict()
        rope = dict(output.get("rope_parameters") or {})
        output["rope_theta"] = rope.pop("rope_theta", self.default_theta)
        kind = rope.pop("rope_type", "default")
        output["rope_scaling"] = None if kind == "default" else {**rope, "type": kind, "rope_type": kind}
        return output

    def _check_widths(self) -> None:
        layers = range(self.num_hidden_layers)
        if any(self.is_moe_layer(i) for i in layers) and not self.moe_intermediate_size:
            raise UsageError("config: moe_intermediate_size is missing, and layers with experts need it.")
        if not all(self.is_moe_layer(i) for i in layers) and not self.intermediate_size:
            raise UsageError(
                "config: intermediate_size is missing, and the dense layers need it "
                f"(first_k_dense_replace is {self.first_k_dense_replace}, num_experts is {self.num_experts})."
            )
        if self.num_experts is not None and not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise UsageError(
                f"config: num_experts_per_tok ({self.num_experts_per_tok}) must lie between 1 and "
                f"num_experts ({self.num_experts})."
            )

    def _resolve_window(self) -> None:
        if self.use_sliding_window and (self.sliding_window or 0) < self.max_position_embeddings:
            raise UsageError(
                f"config: use_sliding_window is true with a window of {self.sliding_window} tokens, but BailingMoE "
                "attends to the whole context in every published implementation; set use_sliding_window to false "
                "to compute what they compute."
            )
        # transformers' caches drop keys beyond `sliding_window` as soon as the attribute is set.
        self.sliding_window = None

    def _refuse_other_architectures(self, extra: dict[str, Any]) -> None:
        for name in self.architectures or ():
            if name.startswith("Bailing") and name not in _ARCHITECTURES:
                raise UsageError(
                    f"config: architecture {name} is not BailingMoE v1 (Ling-lite, Ling-lite-1.5, Ring-lite); "
                    "load this checkpoint with an engine that has it, such as vLLM."
                )
        for key, neutral in _NEUTRAL.items():
            value = extra.get(key)
            if value is not None and value not in neutral:
                raise UsageError(
                    f"config: {key}={value!r} belongs to another member of the Bailing family, and BailingMoE v1 "
                    "has no such part; load this checkpoint with an engine that has it, such as vLLM."
                )


def _check_rope_scaling(extra: dict[str, Any], parameters: dict[str, Any] | None) -> None:
    """Checks the scaling and fills what the authors' code fills, in place."""
    scaling = extra.get("rope_scaling") or parameters
    if not scaling:
        return
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind not in _ROPE_TYPES:
        raise UsageError(f"config: rope_scaling type {kind!r} is unknown; BailingMoE has {', '.join(_ROPE_TYPES)}.")
    if kind != "default" and not isinstance(scaling.get("factor"), (int, float)):
        raise UsageError(f"config: rope_scaling of type {kind!r} needs a number under 'factor'.")
    if scaling.get("partial_rotary_factor", 1.0) != 1.0:
        raise UsageError("config: partial_rotary_factor is not 1, but BailingMoE v1 rotates the whole head.")
    scaling = dict(scaling)
    scaling.pop("type", None)
    scaling["rope_type"] = kind
    if kind == "yarn":
        scaling.setdefault("original_max_position_embeddings", 4096)
        scaling.setdefault("attention_factor", _yarn_attention_factor(scaling))
    extra["rope_scaling"] = scaling


def _yarn_attention_factor(scaling: dict[str, Any]) -> float:
    """The authors' factor on cos and sin; transformers' default differs when only one of the two mscales is given."""

    def magnitude(mscale: float) -> float:
        return 1.0 if scaling["factor"] <= 1 else 0.1 * mscale * math.log(scaling["factor"]) + 1.0

    return magnitude(scaling.get("mscale", 1)) / magnitude(scaling.get("mscale_all_dim", 0))
