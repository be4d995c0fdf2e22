"""BailingMoE v1 (Ling-lite, Ling-lite-1.5, Ring-lite) for transformers 5.

The semantics are those of the authors' ``modeling_bailing_moe.py`` (inclusionAI/Ling), without its traps: evaluation
keeps its graph, ``lm_head`` is never overwritten, and RoPE needs no buffer that a loader could leave uninitialised.
Parameter names are the hub's, except that the experts of a layer are two 3-D tensors (see ``conversion``).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation.utils import GenerationMixin
from transformers.integrations.moe import use_experts_implementation
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import MoeCausalLMOutputWithPast, MoeModelOutputWithPast
from transformers.modeling_utils import PreTrainedModel
from transformers.utils.generic import can_return_tuple

from reference_trainer.model.attention import BailingMoeAttention, rotary_tables
from reference_trainer.model.configuration import BailingMoeConfig
from reference_trainer.model.layers import BailingMoeGate, BailingMoeHead, BailingMoeMLP, BailingMoeRMSNorm


@use_experts_implementation
class _Experts(nn.Module):
    """The routed experts of a layer; transformers chooses grouped_mm or this class's own ``forward`` (eager)."""

    def __init__(self, config: BailingMoeConfig):
        super().__init__()
        assert config.num_experts is not None
        assert config.moe_intermediate_size is not None
        self.num_experts, width, size = config.num_experts, config.moe_intermediate_size, config.hidden_size
        self.gate_up_proj = nn.Parameter(torch.empty(self.num_experts, 2 * width, size))
        self.down_proj = nn.Parameter(torch.empty(self.num_experts, size, width))
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        return eager_experts(self, hidden, chosen, weights)


def eager_experts(experts: Any, hidden: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """One matrix product an expert that was chosen: hidden [tokens, d], chosen and weights [tokens, k]."""
    flat, top_k = chosen.flatten(), chosen.shape[1]
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=experts.num_experts).tolist()
    # unbind and index_select: the backward of plain indexing fills a tensor of full size for every expert.
    parts = zip(
        hidden.index_select(0, order // top_k).split(counts),
        experts.gate_up_proj.unbind(),
        experts.down_proj.unbind(),
        strict=True,
    )
    outputs = []
    for rows, gate_up, down in parts:
        if len(rows):
            gate, up = F.linear(rows, gate_up).chunk(2, dim=-1)
            outputs.append(F.linear(experts.act_fn(gate) * up, down))
    restored = torch.cat(outputs).index_select(0, order.argsort()).view(*chosen.shape, -1)
    return (restored * weights[..., None]).sum(dim=1).to(hidden.dtype)


class BailingMoeExperts(_Experts):
    """Experts that also run in float64, which torch's grouped matrix product refuses."""

    def forward(self, hidden: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """[tokens, hidden] to [tokens, hidden]: the weighted sum over each token's chosen experts."""
        if hidden.dtype == torch.float64:
            return eager_experts(self, hidden, chosen, weights)
        return super().forward(hidden, chosen, weights)


class BailingMoeSparseMLP(nn.Module):
    """Routed experts plus the ungated shared MLP."""

    def __init__(self, config: BailingMoeConfig):
        super().__init__()
        self.gate = BailingMoeGate(config)
        self.experts = BailingMoeExperts(config)
        shared = (config.num_shared_experts or 0) * (config.moe_intermediate_size or 0)
        self.shared_experts = BailingMoeMLP(config, shared) if shared else None

    def forward(self, hidden: Tensor, replay: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns the output [batch, tokens, hidden] and the router's logits [batch * tokens, experts].

        ``replay`` [batch, tokens, k]: see ``BailingMoeGate``.
        """
        flat = hidden.reshape(-1, hidden.shape[-1])
        logits, chosen, weights = self.gate(flat, None if replay is None else replay.reshape(len(flat), -1))
        output = self.experts(flat, chosen, weights).view_as(hidden)
        if self.shared_experts is not None:
            output = output + self.shared_experts(hidden)
        return output, logits


class BailingMoeDecoderLayer(GradientCheckpointingLayer):
    """Pre-norm attention and MLP, each with a residual."""

    def __init__(self, config: BailingMoeConfig, layer: int):
        super().__init__()
        self.attention = BailingMoeAttention(config, layer)
        self.input_layernorm = BailingMoeRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = BailingMoeRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = (
            BailingMoeSparseMLP(config)
            if config.is_moe_layer(layer)
            else BailingMoeMLP(config, config.intermediate_size or 0)
        )

    def forward(
        self,
        hidden: Tensor,
        rotary: tuple[Tensor, Tensor],
        mask: Any,
        past_key_values: Cache | None,
        replay: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Returns the states, the attention weights and the router's logits; the last is None in a dense layer.

        ``replay`` is an argument, and not a state of the router, so that activation checkpointing replays it again.
        """
        attended, weights = self.attention(self.input_layernorm(hidden), rotary, mask, past_key_values, **kwargs)
        hidden = hidden + attended
        normed = self.post_attention_layernorm(hidden)
        output, logits = (
            self.mlp(normed, replay) if isinstance(self.mlp, BailingMoeSparseMLP) else (self.mlp(normed), None)
        )
        return hidden + output, weights, logits


class BailingMoePreTrainedModel(PreTrainedModel):
    """Loading, saving and initialisation."""

    config: BailingMoeConfig
    config_class = BailingMoeConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _input_embed_layer = "word_embeddings"
    _no_split_modules: Any = ["BailingMoeDecoderLayer"]  # noqa: RUF012
    _skip_keys_device_placement: Any = ["past_key_values"]  # noqa: RUF012
    # Old exports carry the rotary buffer, which this model computes from its config.
    _keys_to_ignore_on_load_unexpected: Any = [r"rotary_emb\.inv_freq"]  # noqa: RUF012
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, (BailingMoeExperts, BailingMoeGate)):
            for parameter in module.parameters(recurse=False):
                init.normal_(parameter, mean=0.0, std=self.config.initializer_range)


def positions_of(mask: Any, batch: int, new: int, past: int, device: torch.device) -> Tensor:
    """Positions [batch, new] of the new tokens: the count of real tokens before each, wherever the padding stands."""
    if isinstance(mask, Tensor) and mask.dim() == 2:
        return (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -new:]
    return (torch.arange(new, device=device) + past).expand(batch, -1)


class BailingMoeModel(BailingMoePreTrainedModel):
    """Embedding, decoder layers and the final norm."""

    def __init__(self, config: BailingMoeConfig):
        super().__init__(config)
        # No padding_idx: in these checkpoints the padding token is also the end token, whose row must train.
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([BailingMoeDecoderLayer(config, i) for i in range(config.num_hidden_layers)])
        self.norm = BailingMoeRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.gradient_checkpointing = False
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        output_router_logits: bool | None = None,
        routed_experts: Tensor | None = None,
        **kwargs: Any,
    ) -> MoeModelOutputWithPast:
        """The last hidden states [batch, tokens, hidden], and what the flags ask for.

        ``attention_mask`` is [batch, past + tokens] with 1 for real tokens; padding may stand on either side.
        ``router_logits`` has one [batch * tokens, experts] entry for each layer with experts, padding included.
        ``routed_experts`` [batch, tokens, layers, k] names the experts to choose in each layer (see
        ``BailingMoeGate``); the entries of dense layers are not looked at.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of input_ids and inputs_embeds.")
        hidden = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if self.gradient_checkpointing and self.training:
            use_cache = False
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if position_ids is None:
            past = past_key_values.get_seq_length() if past_key_values is not None else 0
            position_ids = positions_of(attention_mask, hidden.shape[0], hidden.shape[1], past, hidden.device)
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=hidden,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )
        rotary = rotary_tables(self.config, position_ids, hidden.dtype)
        replays = _replays(routed_experts, hidden, self.config)
        wants_attentions, wants_states, wants_router = _flags(
            self.config, output_attentions, output_hidden_states, output_router_logits
        )
        states: list[Any] = []
        attentions: list[Any] = []
        router_logits: list[Any] = []
        for layer, replay in zip(self.layers, replays, strict=True):
            if wants_states:
                states.append(hidden)
            hidden, weights, logits = layer(
                hidden,
                rotary,
                mask,
                past_key_values=past_key_values,
                replay=replay,
                position_ids=position_ids,
                **kwargs,
            )
            if wants_attentions:
                attentions.append(weights)
            if wants_router and logits is not None:
                router_logits.append(logits)
        hidden = self.norm(hidden)
        return MoeModelOutputWithPast(
            last_hidden_state=hidden,
            past_key_values=past_key_values if use_cache else None,
            hidden_states=(*states, hidden) if wants_states else None,
            attentions=tuple(attentions) if wants_attentions else None,
            router_logits=tuple(router_logits) if wants_router else None,
        )


def _replays(experts: Tensor | None, hidden: Tensor, config: BailingMoeConfig) -> list[Tensor | None]:
    """One [batch, tokens, k] a layer of ``experts``, or None for each layer."""
    layers = config.num_hidden_layers
    if experts is None:
        return [None] * layers
    expected = (*hidden.shape[:2], layers, config.num_experts_per_tok)
    if experts.shape != expected:
        raise ValueError(f"routed_experts is {list(experts.shape)}, not [batch, tokens, layers, k] {list(expected)}.")
    return list(experts.unbind(2))


def _flags(config: BailingMoeConfig, *asked: bool | None) -> list[bool]:
    defaults = (config.output_attentions, config.output_hidden_states, config.output_router_logits)
    return [bool(default if flag is None else flag) for flag, default in zip(asked, defaults, strict=True)]


class BailingMoeForCausalLM(BailingMoePreTrainedModel, GenerationMixin):
    """The language model. No auxiliary loss is ever added: balance and z-loss belong to the trainer's objective."""

    _tied_weights_keys: Any = {"lm_head.weight": "model.word_embeddings.weight"}  # noqa: RUF012

    def __init__(self, config: BailingMoeConfig):
        super().__init__(config)
        self.model = BailingMoeModel(config)
        self.lm_head = BailingMoeHead(config)
        self.vocab_size = config.vocab_size
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> MoeCausalLMOutputWithPast:
        """Logits [batch, tokens, vocabulary]; with ``labels`` (-100 ignored, shifted here) the mean cross-entropy."""
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, keep, :])
        loss = None if labels is None else self.loss_function(logits, labels, self.vocab_size, **kwargs)
        return MoeCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            router_logits=outputs.router_logits,
        )
