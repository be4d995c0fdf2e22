import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from harness.backends.nucleus import pick
from harness.types import SamplingParams


def expected_distribution(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """What transformers' own warpers leave, in double precision."""
    scores = TemperatureLogitsWarper(params.temperature)(None, logits.double())
    if params.top_k:
        scores = TopKLogitsWarper(params.top_k)(None, scores)
    if params.top_p < 1:
        scores = TopPLogitsWarper(params.top_p)(None, scores)
    return scores.softmax(-1)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.sampled_from([2, 17, 1000, 3000]),
    temperature=st.floats(0.2, 3),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 0.95, 1.0]),
    top_k=st.sampled_from([0, 1, 5, 1500]),
    scale=st.sampled_from([0.1, 1.0, 8.0]),
)
def test_equals_the_distribution_of_transformers(seed, vocabulary, temperature, top_p, top_k, scale):
    torch.manual_seed(seed)
    params = SamplingParams(temperature, top_p, top_k)
    logits = torch.randn(1, vocabulary) * scale
    wanted = expected_distribution(logits, params)[0]
    # A fine grid of uniform numbers gives back each token's share of the unit interval.
    grid = [(i + 0.5) / 2000 for i in range(2000)]
    drawn = pick(logits.expand(len(grid), -1), params, grid)
    shares = torch.bincount(drawn, minlength=vocabulary) / len(grid)
    assert (shares - wanted).abs().max() < 1.5 / 2000 + 1e-4
    assert set(drawn.tolist()) <= set((wanted > 0).nonzero()[:, 0].tolist())


def test_temperature_zero_takes_the_most_likely():
    torch.manual_seed(0)
    logits = torch.randn(5, 100)
    assert torch.equal(pick(logits, SamplingParams(0.0), []), logits.argmax(-1))


def test_a_row_does_not_depend_on_its_neighbours():
    torch.manual_seed(0)
    logits, params = torch.randn(6, 5000), SamplingParams(1.0, 0.95)
    numbers = [0.1, 0.999999, 0.0, 0.5, 0.9, 0.33]
    together = pick(logits, params, numbers).tolist()
    assert together == [pick(logits[i : i + 1], params, [numbers[i]]).item() for i in range(6)]


def test_the_ends_of_the_unit_interval_are_tokens_of_the_nucleus():
    logits = torch.tensor([[0.0, 10.0, -30.0, 9.0]])
    almost_one = 1 - 2**-53
    for top_p in (0.5, 0.95, 1.0):
        assert pick(logits, SamplingParams(1.0, top_p), [0.0]).item() == 1
        assert pick(logits, SamplingParams(1.0, top_p), [almost_one]).item() in (1, 3, 0)
