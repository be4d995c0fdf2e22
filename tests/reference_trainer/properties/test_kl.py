"""Properties of the KL estimators."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from reference_trainer.objective import kl_per_token

SEEDS = st.integers(0, 2**31)


def distributions(seed: int, vocabulary: int):
    generator = torch.Generator().manual_seed(seed)
    policy = torch.randn(vocabulary, dtype=torch.float64, generator=generator).requires_grad_()
    reference = torch.randn(vocabulary, dtype=torch.float64, generator=generator)
    return policy, policy.log_softmax(-1), reference.log_softmax(-1)


@given(st.lists(st.tuples(st.floats(-20, 0), st.floats(-20, 0)), min_size=1, max_size=20))
def test_k3_is_never_negative_and_zero_only_where_equal(pairs):
    logprobs, reference = torch.tensor(pairs, dtype=torch.float64).T
    k3 = kl_per_token(logprobs, reference, "k3")
    assert (k3 >= 0).all()
    # Below 1e-7 the square of the difference falls under the resolution of float64 around 1.
    apart = (logprobs - reference).abs() > 1e-7
    assert (k3[apart] > 0).all()
    assert (k3[logprobs == reference] == 0).all()


@given(SEEDS, st.integers(2, 30))
def test_k1_and_k3_have_the_exact_kl_as_expectation(seed, vocabulary):
    _, logp, logq = distributions(seed, vocabulary)
    exact = (logp.exp() * (logp - logq)).sum()
    for estimator in ("k1", "k3"):
        expected = (logp.exp() * kl_per_token(logp, logq, estimator)).sum()
        torch.testing.assert_close(expected, exact, rtol=0, atol=1e-12)


@given(SEEDS, st.integers(2, 30))
def test_expected_gradients_as_a_loss_on_sampled_tokens(seed, vocabulary):
    """k1 has none, k2 that of KL(pi || ref), k3 that of KL(ref || pi)."""
    policy, logp, logq = distributions(seed, vocabulary)
    weights = logp.detach().exp()  # sampled tokens: the probabilities carry no gradient
    reverse = torch.autograd.grad((logp.exp() * (logp - logq)).sum(), policy, retain_graph=True)[0]
    forward = torch.autograd.grad((logq.exp() * (logq - logp)).sum(), policy, retain_graph=True)[0]
    for estimator, expected in (("k1", torch.zeros_like(policy)), ("k2", reverse), ("k3", forward)):
        loss = (weights * kl_per_token(logp, logq, estimator)).sum()
        (gradient,) = torch.autograd.grad(loss, policy, retain_graph=True)
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)
