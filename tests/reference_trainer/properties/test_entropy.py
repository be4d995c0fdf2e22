"""Properties of the entropy term (Eq. 4)."""

import math

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from reference_trainer.objective import entropy_term, token_entropy, token_logprobs, total_loss

SEEDS = st.integers(0, 2**31)
VOCABULARY = st.integers(2, 50)


def draw(seed: int, *shape: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(SEEDS, VOCABULARY, st.floats(0.1, 3), st.floats(0, 1000))
def test_lies_between_zero_and_log_of_the_vocabulary(seed, vocabulary, temperature, scale):
    entropy = token_entropy(draw(seed, 4, vocabulary, scale=scale), temperature)
    assert (entropy >= -1e-12).all()
    assert (entropy <= math.log(vocabulary) + 1e-12).all()


@given(VOCABULARY, st.floats(-100, 100), st.floats(0.1, 3))
def test_is_log_of_the_vocabulary_at_uniform(vocabulary, level, temperature):
    logits = torch.full((vocabulary,), level, dtype=torch.float64)
    assert abs(token_entropy(logits, temperature).item() - math.log(vocabulary)) < 1e-12


@given(SEEDS, VOCABULARY, st.floats(-50, 50))
def test_is_invariant_to_a_shift_of_the_logits(seed, vocabulary, shift):
    logits = draw(seed, 4, vocabulary)
    torch.testing.assert_close(token_entropy(logits + shift), token_entropy(logits), rtol=0, atol=1e-12)


@given(SEEDS, VOCABULARY, st.floats(0.1, 3))
def test_is_the_expected_negative_log_probability_over_the_whole_vocabulary(seed, vocabulary, temperature):
    logits = draw(seed, 4, vocabulary)
    every = torch.arange(vocabulary).expand(4, vocabulary)
    logprobs = token_logprobs(logits[:, None].expand(4, vocabulary, vocabulary), every, temperature)
    torch.testing.assert_close(logprobs.exp().sum(-1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        token_entropy(logits, temperature), -(logprobs.exp() * logprobs).sum(-1), rtol=0, atol=1e-12
    )


@given(SEEDS, VOCABULARY)
def test_a_forbidden_token_leaves_value_and_gradient_finite(seed, vocabulary):
    logits = draw(seed, vocabulary)
    logits[0] = -torch.inf
    logits.requires_grad_()
    entropy = token_entropy(logits)
    entropy.backward()
    torch.testing.assert_close(entropy.detach(), token_entropy(logits.detach()[1:]), rtol=0, atol=1e-12)
    assert torch.isfinite(logits.grad).all()


@given(SEEDS, VOCABULARY, st.sampled_from(["bonus", "paper"]))
def test_one_step_on_the_term_raises_the_entropy_or_lowers_it_as_printed(seed, vocabulary, sign):
    logits = draw(seed, 6, vocabulary).requires_grad_()
    selected = torch.ones(1, 6, dtype=torch.bool)
    before = entropy_term(token_entropy(logits)[None], selected, 6)
    zero = torch.zeros((), dtype=torch.float64)
    loss = total_loss(
        zero, before, zero, zero, entropy_coefficient=1, balance_coefficient=0, z_coefficient=0, entropy_sign=sign
    )
    (gradient,) = torch.autograd.grad(loss, logits)
    assume(gradient.norm() > 1e-4)
    after = entropy_term(token_entropy(logits.detach() - 1e-3 * gradient)[None], selected, 6)
    assert (after > before) == (sign == "bonus")


@given(SEEDS, st.integers(1, 5), st.integers(1, 6))
def test_is_additive_over_micro_batches_and_blind_to_what_is_not_selected(seed, responses, length):
    entropy = draw(seed, responses, length).abs()
    selected = draw(seed + 1, responses, length) > 0
    whole = entropy_term(entropy, selected, 17)
    parts = sum(entropy_term(e[None], s[None], 17) for e, s in zip(entropy, selected, strict=True))
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)
    hidden = entropy_term(entropy.masked_fill(~selected, torch.nan), selected, 17)
    assert hidden == whole


@given(SEEDS, st.sampled_from([torch.bfloat16, torch.float16]))
def test_half_precision_logits_are_reduced_in_float32(seed, dtype):
    logits = draw(seed, 3, 40).to(dtype)
    assert token_entropy(logits).dtype == torch.float32
    targets = torch.tensor([0, 5, 39])
    assert token_logprobs(logits, targets).equal(token_logprobs(logits.float(), targets))
