"""Properties of the policy losses (Eq. 1 and 2) and of the whole loss (Eq. 6)."""

from dataclasses import dataclass, replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reference_trainer.objective import (
    PolicyTokens,
    c3po_loss,
    clipped_tokens,
    fill_budget,
    grpo_loss,
    kl_per_token,
    sft_loss,
    total_loss,
    truncated_importance,
)

EXACT = {"rtol": 0, "atol": 1e-12}
CLIP = {"clip_low": 0.2, "clip_high": 0.2}


@dataclass(frozen=True)
class Case:
    """Random responses in float64, with ratios on both sides of the clip range."""

    lengths: Tensor
    tokens: PolicyTokens
    beta: float


def make(lengths: list[int], seed: int, beta: float = 0.1, budget: int | None = None) -> Case:
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, dtype=torch.float64, generator=generator)

    logprobs = -draw(*shape).abs()
    sizes = torch.tensor(lengths)
    kept = sizes if budget is None else fill_budget(sizes, budget)
    selected = torch.arange(shape[1])[None] < kept[:, None]
    tokens = PolicyTokens(
        logprobs, logprobs + 0.3 * draw(*shape), draw(len(lengths)), selected, logprobs + draw(*shape)
    )
    return Case(sizes, tokens, beta)


def value_and_gradient(loss, tokens: PolicyTokens) -> tuple[Tensor, Tensor]:
    leaf = tokens.logprobs.detach().clone().requires_grad_()
    value = loss(replace(tokens, logprobs=leaf))
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def rows(tokens: PolicyTokens, index: Tensor) -> PolicyTokens:
    return PolicyTokens(
        tokens.logprobs[index],
        tokens.old_logprobs[index],
        tokens.advantages[index],
        tokens.selected[index],
        tokens.reference_logprobs[index],
    )


CASES = st.builds(
    make,
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 1e-3, 0.5]),
    st.none() | st.integers(1, 40),
)
ALL = st.builds(make, st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 2**31))


@given(CASES, st.integers(1, 8), st.randoms(use_true_random=False))
def test_invariant_to_micro_batch_split_and_order(case, parts, random):
    order = list(range(len(case.lengths)))
    random.shuffle(order)
    for loss in (
        lambda tokens, lengths: c3po_loss(tokens, 17, kl_coefficient=case.beta),
        lambda tokens, lengths: grpo_loss(tokens, lengths, len(case.lengths), kl_coefficient=case.beta),
    ):
        whole, gradient = value_and_gradient(lambda t, loss=loss: loss(t, case.lengths), case.tokens)
        total, pieces = torch.zeros((), dtype=torch.float64), torch.zeros_like(gradient)
        for chunk in torch.tensor(order).chunk(parts):
            value, piece = value_and_gradient(
                lambda t, loss=loss, chunk=chunk: loss(t, case.lengths[chunk]), rows(case.tokens, chunk)
            )
            total += value
            pieces[chunk] = piece
        torch.testing.assert_close(total, whole, **EXACT)
        torch.testing.assert_close(pieces, gradient, **EXACT)


@given(CASES, st.integers(1, 5))
def test_invariant_to_the_number_of_ranks(case, ranks):
    """Averaging over ranks undoes the factor of the world size that each rank puts on its sum."""
    whole, gradient = value_and_gradient(lambda t: c3po_loss(t, 17, kl_coefficient=case.beta), case.tokens)
    shares = torch.arange(len(case.lengths)).tensor_split(ranks)  # with more ranks than responses some are empty
    values, gradients = [], []
    for share in shares:
        value, piece = value_and_gradient(
            lambda t: ranks * c3po_loss(t, 17, kl_coefficient=case.beta), rows(case.tokens, share)
        )
        full = torch.zeros_like(gradient)
        full[share] = piece
        values.append(value)
        gradients.append(full)
    torch.testing.assert_close(torch.stack(values).mean(), whole, **EXACT)
    torch.testing.assert_close(torch.stack(gradients).mean(0), gradient, **EXACT)


@given(CASES, st.integers(0, 6), st.sampled_from([0.0, -1e30, float("inf"), float("nan")]))
def test_invariant_to_amount_and_content_of_padding(case, more, content):
    def padded(tensor: Tensor) -> Tensor:
        filled = tensor.masked_fill(~case.tokens.selected, content)
        return torch.nn.functional.pad(filled, (0, more), value=content)

    tokens = PolicyTokens(
        padded(case.tokens.logprobs),
        padded(case.tokens.old_logprobs),
        case.tokens.advantages,
        torch.nn.functional.pad(case.tokens.selected, (0, more)),
        padded(case.tokens.reference_logprobs),
    )
    plain = value_and_gradient(lambda t: c3po_loss(t, 17, kl_coefficient=case.beta), case.tokens)
    moved = value_and_gradient(lambda t: c3po_loss(t, 17, kl_coefficient=case.beta), tokens)
    torch.testing.assert_close(moved[0], plain[0], **EXACT)
    torch.testing.assert_close(moved[1][:, : plain[1].shape[1]], plain[1], **EXACT)
    assert (moved[1][:, plain[1].shape[1] :] == 0).all()


@given(CASES, st.floats(0.1, 50))
def test_scaling_phi_at_fixed_psi_scales_the_loss_inversely(case, factor):
    value, gradient = value_and_gradient(lambda t: c3po_loss(t, 17, kl_coefficient=case.beta), case.tokens)
    scaled = value_and_gradient(lambda t: c3po_loss(t, 17 * factor, kl_coefficient=case.beta), case.tokens)
    torch.testing.assert_close(scaled[0] * factor, value, **EXACT)
    torch.testing.assert_close(scaled[1] * factor, gradient, **EXACT)


@given(ALL)
def test_phi_of_all_tokens_without_kl_is_the_token_mean(case):
    t = case.tokens
    ratio = (t.logprobs - t.old_logprobs).exp()
    surrogate = torch.minimum(ratio * t.advantages[:, None], ratio.clamp(0.8, 1.2) * t.advantages[:, None])
    loss = c3po_loss(t, int(case.lengths.sum()))
    torch.testing.assert_close(loss, -surrogate[t.selected].mean(), **EXACT)


@given(st.integers(1, 8), st.integers(1, 9), st.integers(0, 2**31))
def test_equal_lengths_make_c3po_equal_grpo(responses, length, seed):
    case = make([length] * responses, seed)
    c3po = value_and_gradient(lambda t: c3po_loss(t, responses * length, kl_coefficient=case.beta), case.tokens)
    grpo = value_and_gradient(lambda t: grpo_loss(t, case.lengths, responses, kl_coefficient=case.beta), case.tokens)
    torch.testing.assert_close(c3po[0], grpo[0], **EXACT)
    torch.testing.assert_close(c3po[1], grpo[1], **EXACT)


@given(CASES)
def test_ratio_one_gives_the_policy_gradient(case):
    """The gradient of -(1/Phi) sum A log pi."""
    tokens = replace(case.tokens, old_logprobs=case.tokens.logprobs)
    _, gradient = value_and_gradient(lambda t: c3po_loss(t, 17), tokens)
    expected = torch.where(tokens.selected, -tokens.advantages[:, None] / 17, 0.0)
    torch.testing.assert_close(gradient, expected, **EXACT)


@given(CASES)
def test_zero_advantage_leaves_no_policy_gradient_while_kl_still_pulls(case):
    tokens = replace(case.tokens, advantages=torch.zeros_like(case.tokens.advantages))
    _, without = value_and_gradient(lambda t: c3po_loss(t, 17), tokens)
    assert (without == 0).all()
    _, pull = value_and_gradient(lambda t: c3po_loss(t, 17, kl_coefficient=0.5), tokens)
    above = tokens.logprobs > tokens.reference_logprobs
    # Descent lowers log pi exactly where it lies above the reference.
    assert ((pull > 0) == above)[tokens.selected].all()


@given(CASES)
def test_gradient_is_zero_exactly_in_the_clipped_region(case):
    _, gradient = value_and_gradient(lambda t: c3po_loss(t, 17), case.tokens)
    clipped = clipped_tokens(case.tokens, **CLIP)
    assert (gradient[clipped] == 0).all()
    assert (gradient[case.tokens.selected & ~clipped] != 0).all()


@given(CASES, st.floats(0.5, 4))
def test_truncated_importance_weighs_the_surrogate_and_never_exceeds_its_cap(case, cap):
    sampling = case.tokens.reference_logprobs
    weights = truncated_importance(case.tokens.old_logprobs, sampling, cap)
    assert (weights <= cap).all()
    assert (weights[case.tokens.old_logprobs <= sampling] <= min(cap, 1.0)).all()
    _, plain = value_and_gradient(lambda t: c3po_loss(t, 17), case.tokens)
    _, weighted = value_and_gradient(lambda t: c3po_loss(t, 17), replace(case.tokens, importance=weights))
    torch.testing.assert_close(weighted, plain * weights, **EXACT)


@given(CASES, st.sampled_from(["k1", "k2", "k3"]))
def test_the_kl_term_adds_beta_times_the_mean_over_phi(case, estimator):
    without = c3po_loss(case.tokens, 17)
    with_kl = c3po_loss(case.tokens, 17, kl_coefficient=0.3, kl_estimator=estimator)
    kl = kl_per_token(case.tokens.logprobs, case.tokens.reference_logprobs, estimator)
    torch.testing.assert_close(with_kl - without, 0.3 * kl[case.tokens.selected].sum() / 17, **EXACT)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_the_whole_loss_is_linear_in_its_terms_and_the_entropy_sign_is_a_switch(terms, weights):
    policy, entropy, balance, z = (torch.tensor(x, dtype=torch.float64) for x in terms)
    names = ("entropy_coefficient", "balance_coefficient", "z_coefficient")
    coefficients = dict(zip(names, weights, strict=True))
    a, b, c = weights
    bonus = total_loss(policy, entropy, balance, z, **coefficients)
    paper = total_loss(policy, entropy, balance, z, **coefficients, entropy_sign="paper")
    torch.testing.assert_close(bonus, policy - a * entropy + b * balance + c * z, **EXACT)
    torch.testing.assert_close(paper, policy + a * entropy + b * balance + c * z, **EXACT)


@given(ALL, st.integers(1, 5))
def test_sft_loss_is_invariant_to_packing_and_accumulation(case, parts):
    """The mean over all target tokens, whether rows are split among micro-batches or joined into one."""
    logprobs, selected = case.tokens.logprobs, case.tokens.selected
    n = int(selected.sum())
    whole = sft_loss(logprobs, selected, n)
    torch.testing.assert_close(whole, -logprobs[selected].mean(), **EXACT)
    packed = sft_loss(logprobs[selected][None], torch.ones(1, n, dtype=torch.bool), n)
    torch.testing.assert_close(packed, whole, **EXACT)
    chunks = torch.arange(len(logprobs)).tensor_split(parts)
    accumulated = sum(sft_loss(logprobs[chunk], selected[chunk], n) for chunk in chunks)
    torch.testing.assert_close(accumulated, whole, **EXACT)
