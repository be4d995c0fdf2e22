"""BailingMoE written a second time: numpy, float64, one token and one expert at a time, from hub names and keys.

It shares no code with the model under test, so that each variant has something to agree with.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def softmax(x: Array) -> Array:
    exponentials = np.exp(x - x.max())
    return exponentials / exponentials.sum()


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    return x / np.sqrt((x**2).mean() + eps) * weight


def swiglu(x: Array, w: dict[str, Array], prefix: str) -> Array:
    gate = w[f"{prefix}gate_proj.weight"] @ x
    return w[f"{prefix}down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * (w[f"{prefix}up_proj.weight"] @ x))


def frequencies(c: dict[str, Any], length: int) -> tuple[Array, float]:
    """Angular frequencies [head_dim / 2] and the factor on cos and sin."""
    dim, base = c["head_dim"], c["rope_theta"]
    scaling = c.get("rope_scaling") or {"type": "default"}
    kind, factor = scaling["type"], scaling.get("factor", 1.0)
    if kind == "dynamic" and length > c["max_position_embeddings"]:
        base *= (factor * length / c["max_position_embeddings"] - (factor - 1)) ** (dim / (dim - 2))
    plain = np.array([base ** (-i / dim) for i in range(0, dim, 2)])
    if kind == "linear":
        return plain / factor, 1.0
    if kind != "yarn":
        return plain, 1.0
    original = scaling.get("original_max_position_embeddings", 4096)

    def turns_to_dim(turns: float) -> float:
        return dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(turns_to_dim(scaling.get("beta_fast", 32))), 0)
    high = min(math.ceil(turns_to_dim(scaling.get("beta_slow", 1))), dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / (high - low if high != low else 0.001), 0, 1)

    def magnitude(mscale: float) -> float:
        return 0.1 * mscale * math.log(factor) + 1

    scale = magnitude(scaling.get("mscale", 1)) / magnitude(scaling.get("mscale_all_dim", 0))
    return plain / factor * ramp + plain * (1 - ramp), scale


def turn(x: Array, position: int, omega: Array, scale: float) -> Array:
    half = len(x) // 2
    as_complex = (x[:half] + 1j * x[half:]) * np.exp(1j * position * omega) * scale
    return np.concatenate((as_complex.real, as_complex.imag))


def attention(xs: list[Array], w: dict[str, Array], prefix: str, c: dict[str, Any]) -> list[Array]:
    heads, groups, dim = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
    omega, scale = frequencies(c, len(xs))
    queries, keys, values, outputs = [], [], [], []
    for position, x in enumerate(xs):
        fused = w[f"{prefix}query_key_value.weight"] @ x
        if c["use_qkv_bias"]:
            fused = fused + w[f"{prefix}query_key_value.bias"]
        parts = fused.reshape(heads + 2 * groups, dim)
        queries.append([turn(q, position, omega, scale) for q in parts[:heads]])
        keys.append([turn(k, position, omega, scale) for k in parts[heads : heads + groups]])
        values.append(parts[heads + groups :])
        joined = []
        for head in range(heads):
            group = head // (heads // groups)
            scores = softmax(np.array([queries[-1][head] @ k[group] for k in keys]) / math.sqrt(dim))
            joined.append(sum(s * v[group] for s, v in zip(scores, values, strict=True)))
        output = w[f"{prefix}dense.weight"] @ np.concatenate(joined)
        outputs.append(output + w[f"{prefix}dense.bias"] if c["use_bias"] else output)
    return outputs


def mixture(x: Array, w: dict[str, Array], prefix: str, c: dict[str, Any]) -> tuple[Array, Array]:
    logits = w[f"{prefix}gate.weight"] @ x
    probabilities = softmax(logits)
    chosen = sorted(range(len(logits)), key=lambda e: -probabilities[e])[: c["num_experts_per_tok"]]
    weights = probabilities[chosen]
    if c["norm_topk_prob"] and len(chosen) > 1:
        weights = weights / weights.sum()
    output = sum(p * swiglu(x, w, f"{prefix}experts.{e}.") for p, e in zip(weights, chosen, strict=True))
    if c["num_shared_experts"]:
        output = output + swiglu(x, w, f"{prefix}shared_experts.")
    return output, logits


def forward(c: dict[str, Any], w: dict[str, Array], tokens: list[int]) -> tuple[Array, list[Array]]:
    """Logits [tokens, vocabulary] and, for each layer with experts, router logits [tokens, experts]."""
    xs = [w["model.word_embeddings.weight"][token] for token in tokens]
    router = []
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        normed = [rms_norm(x, w[f"{prefix}input_layernorm.weight"], c["rms_norm_eps"]) for x in xs]
        xs = [x + a for x, a in zip(xs, attention(normed, w, f"{prefix}attention.", c), strict=True)]
        normed = [rms_norm(x, w[f"{prefix}post_attention_layernorm.weight"], c["rms_norm_eps"]) for x in xs]
        if layer < c["first_k_dense_replace"]:
            xs = [x + swiglu(n, w, f"{prefix}mlp.") for x, n in zip(xs, normed, strict=True)]
        else:
            mixed = [mixture(n, w, f"{prefix}mlp.", c) for n in normed]
            xs = [x + output for x, (output, _) in zip(xs, mixed, strict=True)]
            router.append(np.stack([logits for _, logits in mixed]))
    head = w["model.word_embeddings.weight" if c["tie_word_embeddings"] else "lm_head.weight"]
    if c["norm_head"]:
        head = head / (np.sqrt((head**2).sum(axis=0, keepdims=True)) + 1e-7)
    return np.stack([head @ rms_norm(x, w["model.norm.weight"], c["rms_norm_eps"]) for x in xs]), router
