"""Analytic gradients of every equation against finite differences in float64."""

import torch

from reference_trainer.objective import (
    PolicyTokens,
    balance_loss,
    c3po_loss,
    expert_load,
    grpo_loss,
    router_sums,
    token_entropy,
    token_logprobs,
    total_loss,
    truncated_importance,
    z_loss,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_policy_losses():
    logprobs = -normal(3, 5).abs()
    old, reference = logprobs + 0.4 * normal(3, 5, seed=1), logprobs + normal(3, 5, seed=2)
    selected = torch.arange(5)[None] < torch.tensor([[5], [3], [1]])
    advantages, importance = normal(3, seed=3), truncated_importance(old, reference, 1.5)

    for estimator in ("k1", "k2", "k3"):

        def c3po(x, kind=estimator):
            tokens = PolicyTokens(x, old, advantages, selected, reference, importance)
            return c3po_loss(tokens, 7, kl_coefficient=0.2, kl_estimator=kind)

        def grpo(x, kind=estimator):
            tokens = PolicyTokens(x, old, advantages, selected, reference)
            return grpo_loss(tokens, torch.tensor([6, 3, 1]), 4, kl_coefficient=0.2, kl_estimator=kind)

        for loss in (c3po, grpo):
            assert torch.autograd.gradcheck(loss, logprobs.clone().requires_grad_())


def test_whole_loss_from_logits_and_router_logits():
    targets = torch.tensor([[1, 2, 0], [3, 3, 1]])
    old = -normal(2, 3, seed=1).abs() - 1
    selected = torch.tensor([[True, True, True], [True, False, False]])
    mask = torch.tensor([True] * 5 + [False])

    def loss(logits, router):
        tokens = PolicyTokens(token_logprobs(logits, targets, 0.8), old, normal(2, seed=2), selected, old)
        entropy = token_entropy(logits, 0.8)[selected].sum() / 4
        sums = router_sums(list(router), mask, 2)
        balance = balance_loss(sums.probabilities, expert_load(sums.counts), sums.tokens)
        return total_loss(
            c3po_loss(tokens, 4, kl_coefficient=0.3),
            entropy,
            balance,
            z_loss(sums.z, sums.tokens),
            entropy_coefficient=0.3,
            balance_coefficient=0.7,
            z_coefficient=0.2,
        )

    inputs = (normal(2, 3, 4, seed=4).requires_grad_(), normal(2, 6, 5, seed=5).requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)
