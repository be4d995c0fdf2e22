"""Properties of the token budget (Eq. 3)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.objective import PolicyTokens, c3po_loss, fill_budget, fill_order, select_tokens

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12).map(torch.tensor)
BUDGETS = st.integers(1, 300)


@given(LENGTHS, BUDGETS)
def test_kept_tokens_sum_to_the_smaller_of_budget_and_total(lengths, budget):
    assert int(fill_budget(lengths, budget).sum()) == min(budget, int(lengths.sum()))


@given(LENGTHS, BUDGETS, st.sampled_from(["truncate", "keep", "drop"]))
def test_every_response_keeps_between_none_and_all_of_its_tokens(lengths, budget, last):
    kept = fill_budget(lengths, budget, last)
    assert (kept >= 0).all()
    assert (kept <= lengths).all()


@given(LENGTHS, BUDGETS)
def test_at_most_one_response_is_cut_with_whole_ones_before_and_none_after(lengths, budget):
    kept = fill_budget(lengths, budget).tolist()
    whole = lengths.tolist()
    first_short = next((i for i, (k, y) in enumerate(zip(kept, whole, strict=True)) if k < y), len(kept))
    assert kept[:first_short] == whole[:first_short]
    assert all(k == 0 for k in kept[first_short + 1 :])


@given(LENGTHS, BUDGETS)
def test_equation_3_brackets_the_number_of_responses(lengths, budget):
    """N <= |B|, sum_{j<N} |y_j| < Phi and, where the budget can be filled, sum_{j<=N} |y_j| >= Phi."""
    kept = fill_budget(lengths, budget)
    n = int((kept > 0).sum())
    assert 1 <= n <= len(lengths)
    assert int(lengths[: n - 1].sum()) < budget
    if int(lengths.sum()) >= budget:
        assert int(lengths[:n].sum()) >= budget
    else:
        assert n == len(lengths)


@given(LENGTHS, BUDGETS, st.integers(0, 100))
def test_selection_is_monotone_in_phi(lengths, budget, more):
    smaller, larger = fill_budget(lengths, budget), fill_budget(lengths, budget + more)
    assert (smaller <= larger).all()


@given(LENGTHS, BUDGETS, st.integers(0, 2**31))
def test_gradient_is_exactly_zero_outside_psi(lengths, budget, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), int(lengths.max()))
    logprobs = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    noise = torch.randn(shape, dtype=torch.float64, generator=generator)
    advantages = torch.randn(shape[0], dtype=torch.float64, generator=generator)
    selected = torch.arange(shape[1])[None] < fill_budget(lengths, budget)[:, None]
    tokens = PolicyTokens(logprobs, logprobs.detach() + 0.1 * noise, advantages, selected, logprobs.detach() + noise)
    c3po_loss(tokens, budget, kl_coefficient=0.1).backward()
    assert (logprobs.grad[~selected] == 0).all()
    assert (logprobs.grad[selected] != 0).any()


@given(LENGTHS, BUDGETS, st.randoms(use_true_random=False))
def test_filling_in_an_order_is_filling_the_permuted_batch(lengths, budget, random):
    order = list(range(len(lengths)))
    random.shuffle(order)
    order = torch.tensor(order)
    kept = select_tokens(lengths, budget, order=order).kept
    assert kept[order].equal(fill_budget(lengths[order], budget))


@given(LENGTHS, BUDGETS)
def test_keeping_or_dropping_the_last_response_changes_only_that_one(lengths, budget):
    cut = fill_budget(lengths, budget)
    keep, drop = fill_budget(lengths, budget, "keep"), fill_budget(lengths, budget, "drop")
    partial = (cut > 0) & (cut < lengths)
    assert keep.equal(torch.where(partial, lengths, cut))
    assert drop.equal(torch.where(partial, 0, cut))


@given(LENGTHS, BUDGETS, st.integers(1, 4))
def test_each_unit_of_the_scope_has_a_budget_of_its_own(lengths, budget, number):
    units = torch.arange(len(lengths)) * number // len(lengths)
    selection = select_tokens(lengths, budget, units=units)
    for unit in set(units.tolist()):
        assert selection.kept[units == unit].equal(fill_budget(lengths[units == unit], budget))
    assert selection.divisor == selection.budget == budget * len(set(units.tolist()))


@given(LENGTHS, BUDGETS)
def test_an_underfilled_budget_divides_by_phi_or_by_its_tokens(lengths, budget):
    total = int(lengths.sum())
    plain = select_tokens(lengths, budget)
    assert plain.divisor == budget
    assert plain.fill == min(total, budget) / budget
    assert select_tokens(lengths, budget, under_fill="renormalise").divisor == min(total, budget)
    if total < budget:
        with pytest.raises(UsageError, match=f"{total} generated tokens.*{budget}.*divide_phi"):
            select_tokens(lengths, budget, under_fill="error")
    else:
        assert select_tokens(lengths, budget, under_fill="error").tokens == budget


@given(LENGTHS)
def test_no_budget_selects_every_token_and_divides_by_their_number(lengths):
    selection = select_tokens(lengths, None)
    assert selection.kept.equal(lengths)
    assert selection.divisor == int(lengths.sum())


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))
def test_fill_orders_are_seeded_permutations_that_never_look_at_lengths(prompts, responses, seed):
    n = prompts * responses
    orders = {
        name: fill_order(prompts, responses, name, torch.Generator().manual_seed(seed))
        for name in ("batch", "shuffled_groups", "shuffled_responses")
    }
    assert orders["batch"].equal(torch.arange(n))
    for name, order in orders.items():
        assert sorted(order.tolist()) == list(range(n))
        assert order.equal(fill_order(prompts, responses, name, torch.Generator().manual_seed(seed)))
    groups = orders["shuffled_groups"].view(prompts, responses) // responses
    assert (groups == groups[:, :1]).all()


def test_an_empty_step_is_refused():
    with pytest.raises(UsageError, match="at least one prompt"):
        select_tokens(torch.tensor([], dtype=torch.long), 5)
