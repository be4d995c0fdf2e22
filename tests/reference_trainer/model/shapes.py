"""Tiny checkpoints as the hub has them: a config.json with explicit keys, and weights under hub names."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "norm_head": {"norm_head": True},
    "dense first layers": {"first_k_dense_replace": 2},
    "all layers dense": {"first_k_dense_replace": 3},
    "output bias": {"use_bias": True},
    "qkv bias": {"use_qkv_bias": True},
    "both biases": {"use_bias": True, "use_qkv_bias": True},
    "norm_topk_prob off": {"norm_topk_prob": False},
    "one expert a token": {"num_experts_per_tok": 1},
    "every expert": {"num_experts_per_tok": 8},
    "no shared experts": {"num_shared_experts": 0},
    "head_dim apart": {"head_dim": 24},
    "one key-value head": {"num_key_value_heads": 1},
    "no grouping": {"num_key_value_heads": 4},
    "tied": {"tie_word_embeddings": True},
    "tied and norm_head": {"tie_word_embeddings": True, "norm_head": True},
    "small base": {"rope_theta": 100.0},
    "large eps": {"rms_norm_eps": 0.1},
    "linear rope": {"rope_scaling": {"type": "linear", "factor": 2.5}},
    "dynamic rope, short": {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "dynamic rope, long": {"rope_scaling": {"type": "dynamic", "factor": 2.0}, "max_position_embeddings": 8},
    "yarn rope": {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}},
    "yarn rope, defaults": {"rope_scaling": {"type": "yarn", "factor": 4.0}},
    "yarn rope, one mscale": {
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "mscale": 0.7}
    },
    "everything": {
        "norm_head": True,
        "first_k_dense_replace": 1,
        "use_bias": True,
        "use_qkv_bias": True,
        "norm_topk_prob": False,
        "num_experts_per_tok": 3,
        "head_dim": 12,
        "num_key_value_heads": 1,
        "rope_scaling": {"type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32, "beta_fast": 16},
    },
}


def hub_config(**changes: Any) -> dict[str, Any]:
    """The keys of the hub's config.json at a tiny size, remote code and keys that have no effect included."""
    return {
        "architectures": ["BailingMoeForCausalLM"],
        "attention_dropout": 0.0,
        "auto_map": {
            "AutoConfig": "configuration_bailing_moe.BailingMoeConfig",
            "AutoModel": "modeling_bailing_moe.BailingMoeModel",
            "AutoModelForCausalLM": "modeling_bailing_moe.BailingMoeForCausalLM",
        },
        "embedding_dropout": 0.0,
        "eos_token_id": 3,
        "first_k_dense_replace": 0,
        "head_dim": 16,
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.006,
        "intermediate_size": 48,
        "max_position_embeddings": 512,
        "max_window_layers": 28,
        "model_type": "bailing_moe",
        "moe_intermediate_size": 24,
        "norm_head": False,
        "norm_softmax": False,
        "norm_topk_prob": True,
        "num_attention_heads": 4,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "num_shared_experts": 2,
        "output_dropout": 0.0,
        "output_router_logits": False,
        "pad_token_id": 3,
        "rms_norm_eps": 1e-6,
        "rope_scaling": None,
        "rope_theta": 600000,
        "sliding_window": 4,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "transformers_version": "4.36.0",
        "use_bias": False,
        "use_cache": True,
        "use_qkv_bias": False,
        "use_sliding_window": False,
        "vocab_size": 97,
        **changes,
    }


def hub_weights(c: dict[str, Any], seed: int = 0) -> dict[str, Tensor]:
    """Random weights that are large enough for every part to show in the logits."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}

    def add(name: str, *shape: int) -> None:
        noise = torch.randn(*shape, generator=generator)
        weights[name] = 1 + 0.2 * noise if name.endswith("norm.weight") else noise * 1.5 / shape[-1] ** 0.5

    def add_mlp(prefix: str, width: int) -> None:
        add(f"{prefix}gate_proj.weight", width, c["hidden_size"])
        add(f"{prefix}up_proj.weight", width, c["hidden_size"])
        add(f"{prefix}down_proj.weight", c["hidden_size"], width)

    queries = c["num_attention_heads"] * c["head_dim"]
    fused = queries + 2 * c["num_key_value_heads"] * c["head_dim"]
    add("model.word_embeddings.weight", c["vocab_size"], c["hidden_size"])
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        add(f"{prefix}attention.query_key_value.weight", fused, c["hidden_size"])
        add(f"{prefix}attention.dense.weight", c["hidden_size"], queries)
        if c["use_qkv_bias"]:
            add(f"{prefix}attention.query_key_value.bias", fused)
        if c["use_bias"]:
            add(f"{prefix}attention.dense.bias", c["hidden_size"])
        add(f"{prefix}input_layernorm.weight", c["hidden_size"])
        add(f"{prefix}post_attention_layernorm.weight", c["hidden_size"])
        if layer < c["first_k_dense_replace"]:
            add_mlp(f"{prefix}mlp.", c["intermediate_size"])
            continue
        add(f"{prefix}mlp.gate.weight", c["num_experts"], c["hidden_size"])
        for expert in range(c["num_experts"]):
            add_mlp(f"{prefix}mlp.experts.{expert}.", c["moe_intermediate_size"])
        if c["num_shared_experts"]:
            add_mlp(f"{prefix}mlp.shared_experts.", c["num_shared_experts"] * c["moe_intermediate_size"])
    add("model.norm.weight", c["hidden_size"])
    if not c["tie_word_embeddings"]:
        add("lm_head.weight", c["vocab_size"], c["hidden_size"])
    return weights


def write_checkpoint(folder: Path, c: dict[str, Any], weights: dict[str, Tensor]) -> Path:
    """A folder as the hub serves it; the remote code it names would fail loudly if it were ever run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(c), encoding="utf-8")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("configuration_bailing_moe.py", "modeling_bailing_moe.py"):
        (folder / name).write_text("raise SystemExit('remote code was executed')\n", encoding="utf-8")
    return folder
