"""The model against transformers' GraniteMoeShared by renaming, and against the oracle in every variant."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, GraniteMoeSharedConfig, GraniteMoeSharedForCausalLM

from reference_trainer.model import hub_weights
from tests.reference_trainer.model import oracle
from tests.reference_trainer.model.shapes import VARIANTS

TOKENS = torch.randint(0, 97, (3, 17), generator=torch.Generator().manual_seed(1))


def granite_twin(model):
    """The same function as a GraniteMoeShared: fused rows split, lm_head normalised at load."""
    c = model.config
    twin = GraniteMoeSharedForCausalLM(
        GraniteMoeSharedConfig(
            vocab_size=c.vocab_size,
            hidden_size=c.hidden_size,
            intermediate_size=c.moe_intermediate_size,
            shared_intermediate_size=c.num_shared_experts * c.moe_intermediate_size,
            num_hidden_layers=c.num_hidden_layers,
            num_attention_heads=c.num_attention_heads,
            num_key_value_heads=c.num_key_value_heads,
            num_local_experts=c.num_experts,
            num_experts_per_tok=c.num_experts_per_tok,
            rms_norm_eps=c.rms_norm_eps,
            max_position_embeddings=c.max_position_embeddings,
            rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
            attention_multiplier=c.head_dim**-0.5,
            tie_word_embeddings=False,
        )
    ).eval()
    twin.load_state_dict({name: t.clone() for name, t in to_granite(dict(model.named_parameters()), c).items()})
    return twin


def to_granite(named, c):
    """Our tensors (weights or gradients) under Granite's names."""
    out = {}
    for name, tensor in named.items():
        tensor = tensor.detach()
        if name.endswith("query_key_value.weight"):
            sizes = [n * c.head_dim for n in (c.num_attention_heads, c.num_key_value_heads, c.num_key_value_heads)]
            for part, rows in zip("qkv", tensor.split(sizes), strict=True):
                out[name.replace("attention.query_key_value", f"self_attn.{part}_proj")] = rows
        elif name.endswith("shared_experts.gate_proj.weight"):
            up = named[name.replace("gate_proj", "up_proj")].detach()
            key = name.replace("mlp.shared_experts.gate_proj", "shared_mlp.input_linear")
            out[key] = torch.cat((tensor, up))
        elif name.endswith("shared_experts.down_proj.weight"):
            out[name.replace("mlp.shared_experts.down_proj", "shared_mlp.output_linear")] = tensor
        elif name == "lm_head.weight" and c.norm_head:
            out[name] = tensor / (tensor.norm(dim=0, keepdim=True) + 1e-7)
        elif "shared_experts.up_proj" not in name:
            renamed = name.replace("word_embeddings", "embed_tokens").replace("attention.dense", "self_attn.o_proj")
            renamed = renamed.replace("mlp.gate.weight", "block_sparse_moe.router.weight")
            out[renamed.replace("mlp.experts", "block_sparse_moe.experts")] = tensor
    return out


@pytest.mark.parametrize("norm_head", [False, True])
@pytest.mark.parametrize("top_k", [2, 5])
def test_equals_granite_moe_shared_by_renaming(build, norm_head, top_k):
    model = build(norm_head=norm_head, num_experts_per_tok=top_k)
    twin = granite_twin(model)
    routed = []
    for layer in twin.model.layers:
        layer.block_sparse_moe.router.register_forward_hook(lambda _module, _inputs, output: routed.append(output[2]))
    ours, theirs = model(TOKENS, labels=TOKENS, output_router_logits=True), twin(TOKENS, labels=TOKENS)
    torch.testing.assert_close(ours.logits, theirs.logits, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(ours.loss, theirs.loss, atol=1e-6, rtol=1e-6)
    assert len(ours.router_logits) == len(routed) == model.config.num_hidden_layers
    for mine, other in zip(ours.router_logits, routed, strict=True):
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=1e-5)
    ours.loss.backward()
    theirs.loss.backward()
    gradients = to_granite({name: p.grad for name, p in model.named_parameters()}, model.config)
    if norm_head:
        # The head's own gradient has the norm as a constant factor (norm_head_detach), not a normalised value.
        norm = model.lm_head.weight.detach().norm(dim=0, keepdim=True) + 1e-7
        gradients["lm_head.weight"] = model.lm_head.weight.grad * norm
    for name, parameter in twin.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=2e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("experts", ["eager", "grouped_mm", "batched_mm"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_implementations_agree_with_granite(build, attention, experts):
    model = build()
    model.set_attn_implementation(attention)
    model.set_experts_implementation(experts)
    twin = granite_twin(build())
    torch.testing.assert_close(model(TOKENS).logits, twin(TOKENS).logits, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_agrees_with_the_oracle(checkpoint, variant, attention):
    folder = checkpoint(**VARIANTS[variant])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation=attention)
    c = json.loads((folder / "config.json").read_text())
    weights = {name: tensor.numpy() for name, tensor in hub_weights(model)}
    outputs = model(TOKENS, output_router_logits=True)
    for row, tokens in enumerate(TOKENS.tolist()):
        logits, router = oracle.forward(c, weights, tokens)
        # RoPE's tables are float32 in the model, in every precision.
        torch.testing.assert_close(outputs.logits[row], torch.from_numpy(logits), atol=2e-5, rtol=1e-5)
        assert len(outputs.router_logits) == len(router) == c["num_hidden_layers"] - c["first_k_dense_replace"]
        for mine, other in zip(outputs.router_logits, router, strict=True):
            layer = mine.view(*TOKENS.shape, -1)[row]
            torch.testing.assert_close(layer, torch.from_numpy(other), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_changes_the_function(build, variant):
    """Guards the test above: a key that neither side read would agree as well."""
    changed = build(**VARIANTS[variant])(TOKENS).logits
    no_effect_here = {"plain", "dynamic rope, short"}
    assert torch.allclose(changed, build()(TOKENS).logits, atol=1e-4) == (variant in no_effect_here)


def test_bfloat16_stays_close_to_float32(build):
    narrow, wide = build(dtype=torch.bfloat16, norm_head=True), build(norm_head=True)
    difference = narrow(TOKENS).logits.float() - wide(TOKENS).logits
    assert narrow(TOKENS).logits.dtype == torch.bfloat16
    assert difference.abs().mean() < 0.05 * wide(TOKENS).logits.std()
