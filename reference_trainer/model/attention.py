"""Rotary positions and grouped-query attention of BailingMoE."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from reference_trainer.model.configuration import BailingMoeConfig
from reference_trainer.model.layers import at_least_float32


@torch.no_grad()
def rotary_tables(config: BailingMoeConfig, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Tables of RoPE for positions [batch, tokens], each [batch, tokens, head_dim].

    Returns:
        The cosines, and the sines with the first half negated: the factors of a state and of its swapped halves.
    """
    assert config.rope_parameters is not None
    assert config.head_dim is not None
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device=positions.device) / config.head_dim
        frequencies, scale = config.rope_theta**-exponents, 1.0
    else:
        length = int(positions.max()) + 1 if kind == "dynamic" else None
        frequencies, scale = ROPE_INIT_FUNCTIONS[kind](config, positions.device, seq_len=length)
    angles = positions[..., None].float() * frequencies
    cos, sin = (angles.cos() * scale).to(dtype), (angles.sin() * scale).to(dtype)
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns [batch, tokens, heads, head_dim] by the position, the two halves of a head being one complex number."""
    swapped = states.roll(states.shape[-1] // 2, dims=-1)
    return torch.addcmul(states * cos[:, :, None], swapped, sin[:, :, None])


def eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention written out, as ``ALL_ATTENTION_FUNCTIONS`` call it.

    The heads that share keys and values are stacked along the queries, so that nothing is copied for each head. On a
    CPU, and for short sequences, this is faster than torch's fused kernel.

    Returns:
        [batch, tokens, heads, head_dim] and the weights [batch, heads, tokens, tokens seen].
    """
    batch, heads, tokens, width = query.shape
    stacked = query.reshape(batch, key.shape[1], -1, width) * scaling
    scores = (stacked @ key.transpose(2, 3)).view(batch, heads, tokens, -1)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = scores.softmax(dim=-1, dtype=at_least_float32(scores)).to(query.dtype)
    weights = F.dropout(weights, p=dropout, training=module.training)
    output = weights.view(batch, key.shape[1], -1, key.shape[2]) @ value
    return output.view(batch, heads, tokens, width).transpose(1, 2), weights


def decode(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """torch's fused kernel for one new token a row, [batch, heads, 1, head_dim], again with the heads stacked."""
    grouped = query.reshape(query.shape[0], key.shape[1], -1, query.shape[3])
    return F.scaled_dot_product_attention(grouped, key, value, attn_mask=mask, dropout_p=dropout)


class BailingMoeAttention(nn.Module):
    """Grouped-query attention with one fused projection, rows [all queries | all keys | all values]."""

    is_causal = True

    def __init__(self, config: BailingMoeConfig, layer: int):
        super().__init__()
        assert config.head_dim is not None
        assert config.num_key_value_heads is not None
        self.config, self.layer_idx, self.head_dim = config, layer, config.head_dim
        self.heads = [config.num_attention_heads, config.num_key_value_heads, config.num_key_value_heads]
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        self.query_key_value = nn.Linear(config.hidden_size, sum(self.heads) * self.head_dim, bias=config.use_qkv_bias)
        self.dense = nn.Linear(self.heads[0] * self.head_dim, config.hidden_size, bias=config.use_bias)

    def forward(
        self, hidden: Tensor, rotary: tuple[Tensor, Tensor], mask: Any, cache: Cache | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Returns the attended states [batch, tokens, hidden] and the weights, where the implementation has them."""
        fused = self.query_key_value(hidden).view(*hidden.shape[:-1], -1, self.head_dim)
        turned = rotate(fused[:, :, : -self.heads[2]], *rotary)
        query, key = turned.transpose(1, 2).split(self.heads[:2], dim=1)
        value = fused[:, :, -self.heads[2] :].transpose(1, 2)
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        dropout = self.config.attention_dropout if self.training else 0.0
        if query.shape[2] == 1 and self.config._attn_implementation == "sdpa":
            return self.dense(decode(query, key, value, mask, dropout).reshape(hidden.shape[0], 1, -1)), None
        output, weights = attend(self, query, key, value, mask, dropout=dropout, scaling=self.head_dim**-0.5, **kwargs)
        return self.dense(output.reshape(*hidden.shape[:-1], -1).contiguous()), weights
