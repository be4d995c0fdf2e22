"""Properties of the router terms (Eq. 5)."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reference_trainer.objective import balance_loss, expert_load, router_sums, z_loss

EXACT = {"rtol": 0, "atol": 1e-12}
SEEDS = st.integers(0, 2**31)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(2, 10))  # layers, tokens, experts


def draw(seed: int, shape: tuple[int, int, int]) -> Tensor:
    return 2 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def top_k(shape: tuple[int, int, int], seed: int) -> int:
    return 1 + seed % shape[2]


def balance(logits: Tensor, k: int, form: str = "switch", load: str = "fraction") -> Tensor:
    sums = router_sums(list(logits), torch.ones(logits.shape[1], dtype=torch.bool), k)
    return balance_loss(sums.probabilities, expert_load(sums.counts, load), sums.tokens, form)


@given(SEEDS, SHAPES)
def test_mean_probabilities_and_loads_sum_to_one(seed, shape):
    sums = router_sums(list(draw(seed, shape)), torch.ones(shape[1], dtype=torch.bool), top_k(shape, seed))
    ones = torch.ones(shape[0], dtype=torch.float64)
    torch.testing.assert_close((sums.probabilities / sums.tokens).sum(-1), ones, **EXACT)
    torch.testing.assert_close(expert_load(sums.counts).sum(-1), ones, **EXACT)
    assert (sums.counts.sum(-1) == shape[1] * top_k(shape, seed)).all()


@given(SEEDS, SHAPES)
def test_switch_form_is_one_at_uniform_probabilities_whatever_the_loads(seed, shape):
    layers, tokens, experts = shape
    loads = draw(seed, (layers, 1, experts)).softmax(-1)[:, 0]
    uniform = torch.full((layers, experts), tokens / experts, dtype=torch.float64)
    torch.testing.assert_close(balance_loss(uniform, loads, tokens), torch.tensor(1.0, dtype=torch.float64), **EXACT)


def test_one_is_no_lower_bound_of_the_hard_count_form():
    """Counts and probabilities can disagree: many tokens that narrowly prefer one expert, few that hate it."""
    logits = torch.tensor([[[0.1, 0.0]] * 3 + [[-8.0, 8.0]]], dtype=torch.float64)
    assert balance(logits, 1).item() < 0.9


@given(SEEDS, SHAPES)
def test_switch_form_exceeds_one_when_probability_mass_follows_the_loads(seed, shape):
    """With P = F the form is N_e sum F^2 >= 1, with equality only at uniform."""
    layers, tokens, experts = shape
    loads = draw(seed, (layers, 1, experts)).softmax(-1)[:, 0]
    assert balance_loss(loads * tokens, loads, tokens) >= 1 - 1e-12


@given(SEEDS, SHAPES, st.randoms(use_true_random=False))
def test_invariant_to_permuting_experts(seed, shape, random):
    logits, k = draw(seed, shape), top_k(shape, seed)
    order = list(range(shape[2]))
    random.shuffle(order)
    torch.testing.assert_close(balance(logits[..., order], k), balance(logits, k), **EXACT)
    mask = torch.ones(shape[1], dtype=torch.bool)
    permuted, plain = (router_sums(list(x), mask, k) for x in (logits[..., order], logits))
    torch.testing.assert_close(permuted.z, plain.z, **EXACT)


@given(SEEDS, SHAPES)
def test_z_is_never_negative_and_log_experts_squared_at_zero_logits(seed, shape):
    _, tokens, experts = shape
    mask = torch.ones(tokens, dtype=torch.bool)
    assert z_loss(router_sums(list(draw(seed, shape)), mask, 1).z, tokens) >= 0
    zero = router_sums(list(torch.zeros(shape, dtype=torch.float64)), mask, 1)
    assert abs(z_loss(zero.z, tokens).item() - math.log(experts) ** 2) < 1e-12


@given(SEEDS, SHAPES, st.integers(2, 5))
def test_z_is_additive_over_micro_batches(seed, shape, parts):
    logits = draw(seed, shape)
    everything = torch.ones(shape[1], dtype=torch.bool)
    whole = z_loss(router_sums(list(logits), everything, 1).z, shape[1])
    total = torch.zeros((), dtype=torch.float64)
    for chunk in torch.arange(shape[1]).tensor_split(parts):
        sums = router_sums(list(logits[:, chunk]), everything[chunk], 1)
        total = total + z_loss(sums.z, shape[1])
    torch.testing.assert_close(total, whole, **EXACT)


def test_balance_is_not_additive_over_micro_batches():
    """Each half alone is perfectly unbalanced, together they are perfectly balanced."""
    half = torch.tensor([[9.0, -9.0]] * 4, dtype=torch.float64)
    both = torch.cat([half, half.flip(-1)])[None]
    assert abs(balance(both, 1).item() - 1) < 1e-6
    assert (balance(both[:, :4], 1) + balance(both[:, 4:], 1)).item() / 2 > 1.99


@given(SEEDS, SHAPES, st.integers(1, 5), st.sampled_from(["switch", "literal"]))
def test_two_passes_give_the_global_balance_gradient(seed, shape, parts, form):
    logits, k = draw(seed, shape), top_k(shape, seed)
    leaf = logits.clone().requires_grad_()
    whole = balance(leaf, k, form)
    (expected,) = torch.autograd.grad(whole, leaf)

    chunks = torch.arange(shape[1]).tensor_split(parts)
    everything = torch.ones(shape[1], dtype=torch.bool)
    counts = sum(router_sums(list(logits[:, c]), everything[c], k).counts for c in chunks)  # first pass
    leaf = logits.clone().requires_grad_()
    value = torch.zeros((), dtype=torch.float64)
    for chunk in chunks:  # second pass
        sums = router_sums(list(leaf[:, chunk]), everything[chunk], k)
        part = balance_loss(sums.probabilities, expert_load(counts), shape[1], form)
        part.backward()
        value += part.detach()
    torch.testing.assert_close(value, whole.detach(), **EXACT)
    torch.testing.assert_close(leaf.grad, expected, **EXACT)


@given(SEEDS, SHAPES, st.sampled_from([torch.nan, torch.inf, 1e30]))
def test_padding_never_enters_whatever_its_content(seed, shape, content):
    logits, k = draw(seed, shape), top_k(shape, seed)
    mask = torch.arange(shape[1]) % 3 != 1
    leaf = logits.masked_fill(~mask[None, :, None], content).requires_grad_()
    dirty = router_sums(list(leaf), mask, k)
    clean = router_sums(list(logits[:, mask]), mask[mask], k)
    for name in ("probabilities", "counts", "z", "entropy"):
        torch.testing.assert_close(getattr(dirty, name), getattr(clean, name), **EXACT)
    assert dirty.tokens == clean.tokens == int(mask.sum())
    (dirty.z.sum() + (dirty.probabilities * torch.arange(shape[2])).sum()).backward()
    assert (leaf.grad[:, ~mask] == 0).all()
    assert torch.isfinite(leaf.grad).all()


@given(SEEDS, SHAPES)
def test_literal_form_is_the_switch_form_over_the_number_of_experts(seed, shape):
    logits, k = draw(seed, shape), top_k(shape, seed)
    torch.testing.assert_close(balance(logits, k, "literal") * shape[2], balance(logits, k), **EXACT)


@given(SEEDS, SHAPES)
def test_raw_counts_scale_the_term_by_the_number_of_assignments(seed, shape):
    logits, k = draw(seed, shape), top_k(shape, seed)
    raw = balance(logits, k, load="raw_counts")
    torch.testing.assert_close(raw, balance(logits, k) * shape[1] * k, rtol=1e-12, atol=0)
