"""Properties of the group advantages."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.objective import group_advantages, zero_variance_groups

ROWS = (
    st.integers(2, 12)
    .flatmap(lambda k: st.lists(st.lists(st.integers(-20, 20), min_size=k, max_size=k), min_size=1, max_size=6))
    .map(lambda rows: torch.tensor(rows, dtype=torch.float64))
)
STDS = st.sampled_from(["unbiased", "population", "unbiased_epsilon"])


@given(ROWS)
def test_a_group_sums_to_zero_with_unit_unbiased_std_or_is_exactly_zero(rewards):
    advantages = group_advantages(rewards)
    for row, reward in zip(advantages, rewards, strict=True):
        if (reward == reward[0]).all():
            assert (row == 0).all()
        else:
            assert abs(row.sum().item()) < 1e-12
            assert abs(row.std(unbiased=True).item() - 1) < 1e-12


@given(st.floats(-1e12, 1e12), st.integers(1, 16), STDS)
def test_a_constant_group_is_exactly_zero_whatever_its_reward(reward, k, std):
    assert (group_advantages(torch.full((1, k), reward, dtype=torch.float64), std) == 0).all()


@given(ROWS, st.floats(0.01, 100), st.floats(-100, 100))
def test_invariant_to_positive_scaling_and_shift_of_the_rewards(rewards, scale, shift):
    # A constant group stays constant under the map, every other one must not collapse onto one number.
    moved = scale * rewards + shift
    assume(zero_variance_groups(moved).equal(zero_variance_groups(rewards)))
    torch.testing.assert_close(group_advantages(moved), group_advantages(rewards), rtol=0, atol=1e-9)


@given(ROWS, st.randoms(use_true_random=False), STDS)
def test_permutation_equivariant_in_responses_and_groups(rewards, random, std):
    columns, rows = list(range(rewards.shape[1])), list(range(rewards.shape[0]))
    random.shuffle(columns)
    random.shuffle(rows)
    moved = group_advantages(rewards[rows][:, columns], std)
    torch.testing.assert_close(moved, group_advantages(rewards, std)[rows][:, columns], rtol=0, atol=1e-13)


@given(ROWS)
def test_variants_differ_by_a_factor_of_their_spread_alone(rewards):
    unbiased, k = group_advantages(rewards), rewards.shape[1]
    torch.testing.assert_close(
        group_advantages(rewards, "population"), unbiased * (k / (k - 1)) ** 0.5, rtol=1e-12, atol=1e-12
    )
    spread = rewards.std(dim=1, keepdim=True)
    expected = unbiased * spread / (spread + 1e-4)
    torch.testing.assert_close(group_advantages(rewards, "unbiased_epsilon"), expected, rtol=1e-12, atol=1e-12)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=16))
def test_right_answers_are_pushed_up_and_wrong_ones_down(rewards):
    assume(len(set(rewards)) == 2)
    advantages = group_advantages(torch.tensor([rewards]))[0]
    assert all((a > 0) == (r == 1.0) for a, r in zip(advantages.tolist(), rewards, strict=True))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_reward_that_is_no_number_is_refused_by_name(bad):
    with pytest.raises(UsageError, match="response 2 to prompt 1"):
        group_advantages(torch.tensor([[0.0, 1, 0], [0, 1, bad]]))
