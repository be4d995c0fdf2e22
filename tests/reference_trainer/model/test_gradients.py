"""Gradients: they reach every weight, equal a numeric derivative, and survive checkpointing."""

import pytest
import torch

TOKENS = torch.randint(0, 97, (8, 23), generator=torch.Generator().manual_seed(2))


def gradients(model):
    model.zero_grad()
    model(TOKENS, labels=TOKENS).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("mode", [True, False])
def test_gradients_reach_every_expert_and_every_weight(build, mode):
    model = build(norm_head=True, use_bias=True, use_qkv_bias=True, first_k_dense_replace=1).train(mode)
    for name, gradient in gradients(model).items():
        assert torch.isfinite(gradient).all()
        rows = gradient.flatten(1) if name.endswith(("gate_up_proj", "mlp.experts.down_proj")) else gradient[None]
        assert all(row.abs().sum() > 0 for row in rows), name


@pytest.mark.parametrize("detach", [True, False])
def test_norm_head_gradient_is_the_config_switch(build, detach):
    model = build(dtype=torch.float64, norm_head=True, norm_head_detach=detach)
    hidden = torch.randn(2, 3, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weight = model.lm_head.weight.detach().clone().requires_grad_()
    norm = weight.norm(dim=0, keepdim=True) + 1e-7
    expected = hidden @ (weight / (norm.detach() if detach else norm)).T
    expected.square().sum().backward()
    model.lm_head(hidden).square().sum().backward()
    torch.testing.assert_close(model.lm_head.weight.grad, weight.grad)


def test_gradcheck_in_float64(build):
    shape = {
        "hidden_size": 8,
        "head_dim": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "num_hidden_layers": 2,
    }
    widths = {"intermediate_size": 6, "moe_intermediate_size": 5, "num_experts": 4, "vocab_size": 11}
    switches = {
        "first_k_dense_replace": 1,
        "norm_head": True,
        "norm_head_detach": False,
        "use_bias": True,
        "use_qkv_bias": True,
    }
    model = build(dtype=torch.float64, **shape, **widths, **switches)
    tokens = torch.tensor([[1, 5, 2, 7], [9, 1, 0, 3]])
    names = [name for name, _ in model.named_parameters()]

    def run(*values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (tokens,)).logits

    inputs = tuple(p.detach().clone().requires_grad_() for p in model.parameters())
    assert torch.autograd.gradcheck(run, inputs, eps=1e-6, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_no_gradient(build, reentrant):
    model = build(first_k_dense_replace=1).train()
    plain = gradients(model)
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    layer_calls = []
    model.model.layers[1].mlp.register_forward_pre_hook(lambda *_: layer_calls.append(1))
    checkpointed = gradients(model)
    assert len(layer_calls) == 2, "the layer was not recomputed in the backward"
    for name, gradient in plain.items():
        torch.testing.assert_close(gradient, checkpointed[name], atol=0, rtol=0, msg=name)


@pytest.mark.parametrize("reentrant", [True, False])
def test_router_logits_carry_gradients_under_checkpointing(build, reentrant):
    model = build().train()

    def router_gradient():
        model.zero_grad()
        logits = model(TOKENS, output_router_logits=True).router_logits
        sum(layer.logsumexp(-1).square().mean() for layer in logits).backward()
        return [layer.mlp.gate.weight.grad.clone() for layer in model.model.layers]

    plain = router_gradient()
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    for expected, actual in zip(plain, router_gradient(), strict=True):
        assert expected.abs().sum() > 0
        torch.testing.assert_close(actual, expected, atol=0, rtol=0)
