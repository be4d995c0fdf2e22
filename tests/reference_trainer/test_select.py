"""Selection by entropy: the band, the ways to choose in it, and the entropy itself."""

import warnings

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine import OneProcessEngine
from reference_trainer.objective import token_entropy
from reference_trainer.rollout import Rollout
from reference_trainer.select import Candidate, SelectionConfig, choose, mean_entropy

CANDIDATES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda pair: pair), min_size=1, max_size=9).map(
    lambda pairs: [Candidate(i, entropy, rate) for i, (entropy, rate) in enumerate(pairs, start=1)]
)
CHOICES = st.sampled_from(["best_pass_rate", "first", "middle"])


def inside(candidate: Candidate) -> bool:
    return 0.3 <= candidate.entropy <= 0.5


@given(CANDIDATES, CHOICES)
def test_returns_an_epoch_in_the_band_when_one_exists(candidates, choice):
    assume(any(map(inside, candidates)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = choose(candidates, SelectionConfig(choice=choice))
    band = [c for c in candidates if inside(c)]
    assert chosen in band
    if choice == "best_pass_rate":
        assert chosen.pass_rate == max(c.pass_rate for c in band)
    if choice == "first":
        assert chosen == band[0]
    if choice == "middle":
        assert abs(sum(c.epoch < chosen.epoch for c in band) - sum(c.epoch > chosen.epoch for c in band)) <= 1


@given(CANDIDATES)
def test_returns_the_nearest_epoch_with_a_warning_when_none_is_in_the_band(candidates):
    assume(not any(map(inside, candidates)))
    with pytest.warns(UserWarning, match="no checkpoint has an entropy in"):
        chosen = choose(candidates, SelectionConfig())
    distance = [max(0.3 - c.entropy, c.entropy - 0.5) for c in candidates]
    assert max(0.3 - chosen.entropy, chosen.entropy - 0.5) == min(distance)


@given(CANDIDATES, CHOICES, st.randoms(use_true_random=False))
@pytest.mark.filterwarnings("ignore:no checkpoint")
def test_is_deterministic_and_invariant_to_the_order_of_candidates(candidates, choice, random):
    config = SelectionConfig(choice=choice)
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert choose(shuffled, config) == choose(candidates, config) == choose(candidates, config)


def test_entropy_is_the_exact_mean_over_response_tokens(model, batch):
    policy, made = model(), batch([5, 1, 7])
    rollouts = [Rollout(p, r, torch.zeros(len(r)), True, 0) for p, r in zip(made.prompts, made.responses, strict=True)]
    engine = OneProcessEngine(policy, ObjectiveConfig(), OptimizerConfig(micro_batch_tokens=12))
    entropies = [
        token_entropy(policy(input_ids=torch.cat([p, r])[None]).logits[0, len(p) - 1 : -1])
        for p, r in zip(made.prompts, made.responses, strict=True)
    ]
    assert mean_entropy(engine, rollouts) == pytest.approx(torch.cat(entropies).mean().item(), abs=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(UsageError, match="no checkpoint to select from"):
        choose([], SelectionConfig())
    with pytest.raises(UsageError, match="two checkpoints have the same epoch"):
        choose([Candidate(1, 0.4, 0.5), Candidate(1, 0.45, 0.5)], SelectionConfig())
    with pytest.raises(UsageError, match="the entropy band is empty"):
        SelectionConfig.read({"low": 0.6}, "toy.yaml")
