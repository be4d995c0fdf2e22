"""The counter-based generator and the inversion of the distribution."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from reference_trainer.rollout import group_requests, response_seed
from reference_trainer.rollout.sampling import draw, log_distribution, uniforms

MASK = 2**64 - 1


def splitmix64(seed, position):
    """The published algorithm in Python's integers."""
    z = (seed + (position + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_splitmix64_of_seed_0_is_the_published_sequence():
    assert splitmix64(0, 0) == 0xE220A8397B1DCDAF


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**31)), min_size=1, max_size=20))
def test_uniforms_are_splitmix64_row_by_row(rows):
    seeds, positions = (torch.tensor(column) for column in zip(*rows, strict=True))
    expected = [(splitmix64(seed & MASK, position) >> 12) / 2**52 for seed, position in rows]
    assert uniforms(seeds, positions).tolist() == expected


def test_uniforms_cover_the_interval_evenly():
    from scipy.stats import kstest

    drawn = uniforms(torch.arange(20_000), torch.zeros(20_000, dtype=torch.long))
    along = uniforms(torch.full((20_000,), 12345), torch.arange(20_000))
    assert kstest(drawn.numpy(), "uniform").pvalue > 1e-6
    assert kstest(along.numpy(), "uniform").pvalue > 1e-6


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=40), st.integers(0, 2**62))
def test_draw_inverts_the_cumulative_distribution(logits, seed):
    logprobs = log_distribution(torch.tensor([logits]), 1.0, 1.0)
    token = draw(logprobs, torch.tensor([seed]), torch.tensor([0]), greedy=False).item()
    cumulative = logprobs[0].double().exp().cumsum(0)
    share = uniforms(torch.tensor([seed]), torch.tensor([0])).item() * cumulative[-1].item()
    assert (cumulative[token - 1].item() if token else 0.0) <= share < cumulative[token].item()


@given(st.integers(0, 2**62), st.integers(0, 1000))
def test_a_token_of_probability_zero_is_never_drawn(seed, position):
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    drawn = draw(log_distribution(logits, 1.0, 1.0), torch.tensor([seed]), torch.tensor([position]), greedy=False)
    assert drawn.item() in (1, 3)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.floats(0.01, 1.0), st.floats(0.1, 3.0))
def test_log_distribution_is_normalised_and_keeps_the_smallest_nucleus(logits, top_p, temperature):
    plain = torch.softmax(torch.tensor(logits).double() / temperature, 0)
    kept = log_distribution(torch.tensor([logits]).double(), temperature, top_p)[0].exp()
    assert abs(kept.sum().item() - 1) < 1e-9
    nucleus = kept > 0
    assert plain[nucleus].sum() >= top_p - 1e-9
    assert nucleus.all() or plain[nucleus].min() >= plain[~nucleus].max()
    if nucleus.sum() > 1 and top_p < 1:
        assert plain[nucleus].sum() - plain[nucleus].min() < top_p + 1e-9


def test_seeds_depend_on_prompt_and_sample_and_nothing_else():
    prompts = [torch.tensor([1]), torch.tensor([2])]
    requests = group_requests(prompts, 3, seed=11, keys=["a", "b"])
    alone = group_requests(prompts[1:], 3, seed=11, keys=["b"])
    assert [request.seed for request in requests[3:]] == [request.seed for request in alone]
    assert [request.prompt.item() for request in requests] == [1, 1, 1, 2, 2, 2]
    assert len({request.seed for request in requests}) == 6
    assert all(0 <= response_seed(seed, "a", 0) < 2**63 for seed in range(100))
