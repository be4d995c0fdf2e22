"""Router replay: the experts that an engine chose, with weights and gradients of the trainer's own router."""

import pytest
import torch
from torch.nn import functional as F

from reference_trainer.model.layers import BailingMoeGate

TOKENS = torch.randint(0, 97, (5, 17), generator=torch.Generator().manual_seed(2))
MOE = pytest.mark.parametrize(
    "changes",
    [
        {},
        {"first_k_dense_replace": 1},
        {"norm_topk_prob": False},
        {"num_experts_per_tok": 1},
        {"num_experts_per_tok": 8},
        {"num_experts_per_tok": 3, "norm_head": True, "num_shared_experts": 0},
    ],
    ids=lambda changes: ", ".join(changes) or "plain",
)


def own_choice(model, tokens=TOKENS):
    """[batch, tokens, layers, k]: what each router chooses by itself; -2 in dense layers."""
    config = model.config
    logits = iter(model(tokens, output_router_logits=True).router_logits)
    shape = (*tokens.shape, config.num_experts_per_tok)
    layers = [
        next(logits).softmax(-1, dtype=torch.float32).topk(shape[-1]).indices.view(shape)
        if config.is_moe_layer(layer)
        else torch.full(shape, -2)
        for layer in range(config.num_hidden_layers)
    ]
    return torch.stack(layers, dim=2)


def other_choice(model, seed=1):
    """Experts at random, none twice for one token."""
    config = model.config
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(*TOKENS.shape, config.num_hidden_layers, config.num_experts, generator=generator)
    return scores.topk(config.num_experts_per_tok).indices


def gradients(model, **kwargs):
    model.zero_grad()
    logits = model(TOKENS, **kwargs).logits
    F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten()).backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def used(gate, monkeypatch):
    """Records what ``gate`` hands to its experts."""
    seen = []
    original = BailingMoeGate.forward

    def forward(self, hidden, replay=None):
        result = original(self, hidden, replay)
        if self is gate:
            seen.append(tuple(value.detach().clone() for value in result))
        return result

    monkeypatch.setattr(BailingMoeGate, "forward", forward)
    return seen


@MOE
@pytest.mark.parametrize("dtype", [torch.int16, torch.int64])
def test_replaying_the_own_choice_changes_no_bit_of_logits_and_gradients(build, changes, dtype):
    model = build(**changes).train()
    replay = own_choice(model).to(dtype)
    logits, expected = gradients(model)
    again, found = gradients(model, routed_experts=replay)
    assert torch.equal(logits, again)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@MOE
def test_the_experts_are_those_of_the_replay_and_the_weights_those_of_the_router(build, changes, monkeypatch):
    model = build(**changes)
    replay = other_choice(model)
    for layer, block in enumerate(model.model.layers):
        if not model.config.is_moe_layer(layer):
            continue
        seen = used(block.mlp.gate, monkeypatch)
        model(TOKENS, routed_experts=replay)
        [(logits, chosen, weights)] = seen
        assert torch.equal(chosen, replay[:, :, layer].reshape(chosen.shape))
        probabilities = logits.softmax(-1, dtype=torch.float32).gather(1, chosen)
        if block.mlp.gate.renormalise:
            probabilities = probabilities / probabilities.sum(-1, keepdim=True)
        assert torch.equal(weights, probabilities)
        monkeypatch.undo()


def test_one_changed_expert_changes_its_token_and_later_ones_only(build):
    model = build()
    replay = own_choice(model)
    changed = replay.clone()
    absent = next(e for e in range(model.config.num_experts) if e not in replay[2, 6, 1])
    changed[2, 6, 1, 0] = absent
    before, after = model(TOKENS, routed_experts=replay).logits, model(TOKENS, routed_experts=changed).logits
    same = (before == after).all(-1)
    assert same[[0, 1, 3, 4]].all()
    assert same[2, :6].all()
    assert not same[2, 6]


def test_gradients_reach_the_router_and_exactly_the_replayed_experts(build):
    model = build(num_experts=8, num_experts_per_tok=2)
    replay = torch.tensor([6, 1]).expand(*TOKENS.shape, model.config.num_hidden_layers, 2)
    _, found = gradients(model, routed_experts=replay)
    for layer in range(model.config.num_hidden_layers):
        prefix = f"model.layers.{layer}.mlp."
        reached = {e for e in range(8) if found[prefix + "experts.down_proj"][e].abs().sum() > 0}
        assert reached == {1, 6}
        assert found[prefix + "gate.weight"][[1, 6]].abs().sum(-1).gt(0).all()


@pytest.mark.parametrize("renormalise", [True, False])
def test_router_gradient_through_replayed_entries_equals_a_numeric_one(renormalise, build):
    model = build(dtype=torch.float64, norm_topk_prob=renormalise)
    gate = model.model.layers[0].mlp.gate
    hidden = torch.randn(4, gate.weight.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    replay = torch.tensor([[0, 5], [3, 2], [7, 1], [4, 6]])
    mix = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def weighed(weight):
        return (torch.func.functional_call(gate, {"weight": weight}, (hidden, replay))[2] * mix).sum()

    assert torch.autograd.gradcheck(weighed, gate.weight.detach().clone().requires_grad_())


def test_a_negative_entry_leaves_the_token_to_its_router(build):
    model = build()
    own, other = own_choice(model), other_choice(model)
    assert torch.equal(model(TOKENS, routed_experts=torch.full_like(own, -1)).logits, model(TOKENS).logits)
    mixed = torch.where(torch.arange(TOKENS.shape[1])[None, :, None, None] < 9, own, other)
    partly = mixed.clone()
    partly[:, :9, :, 0] = -1
    assert torch.equal(model(TOKENS, routed_experts=partly).logits, model(TOKENS, routed_experts=mixed).logits)


def test_activation_checkpointing_replays_the_same_experts(build):
    model = build(first_k_dense_replace=1).train()
    replay = other_choice(model)
    logits, expected = gradients(model, routed_experts=replay)
    model.gradient_checkpointing_enable()
    again, found = gradients(model, routed_experts=replay)
    torch.testing.assert_close(again, logits)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)
    _, free = gradients(model)
    assert any(not torch.allclose(free[name], gradient) for name, gradient in expected.items())


def test_another_shape_is_refused(build):
    model = build()
    with pytest.raises(ValueError, match=r"routed_experts is \[5, 17, 2, 2\]"):
        model(TOKENS, routed_experts=other_choice(model)[:, :, :2])
