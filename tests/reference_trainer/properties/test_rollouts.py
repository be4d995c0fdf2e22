"""Properties of rollouts as the trainer sees them."""

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine import OneProcessEngine, UpdateBatch
from reference_trainer.rollout import Sampling, TransformersEngine, group_requests

FEW = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
END = 0
PROMPTS = st.lists(st.lists(st.integers(1, 22), min_size=1, max_size=9).map(torch.tensor), min_size=1, max_size=4)


def sample(policy, prompts, seed, limit=25, temperature=1.0, rows=6):
    engine = TransformersEngine(policy, END, max_rows=rows)
    return engine.generate(group_requests(prompts, 3, seed), Sampling(limit, temperature))


@FEW
@given(PROMPTS, st.integers(0, 10**6), st.sampled_from([0.7, 1.0, 1.5]), st.integers(20, 200))
def test_rollout_logprob_equals_trainer_logprob_on_the_same_tokens(model, prompts, seed, temperature, tokens):
    """Within 2e-5 in float32, whatever was decoded and scored together."""
    policy = model(dtype=torch.float32)
    rollouts = sample(policy, prompts, seed, temperature=temperature)
    engine = OneProcessEngine(policy, ObjectiveConfig(), OptimizerConfig(micro_batch_tokens=tokens), temperature)
    batch = UpdateBatch(
        prompts=[r.prompt for r in rollouts],
        responses=[r.response for r in rollouts],
        lengths=torch.tensor([r.length for r in rollouts]),
        advantages=torch.zeros(len(rollouts)),
        divisor=1,
        tokens=1,
        update_responses=len(rollouts),
    )
    for rollout, scored in zip(rollouts, engine.logprobs(batch), strict=True):
        torch.testing.assert_close(scored, rollout.logprobs, rtol=0, atol=2e-5)


@FEW
@given(PROMPTS, st.integers(0, 10**6), st.integers(1, 12))
def test_length_counts_generated_tokens_with_the_end_token_and_never_the_prompt(model, prompts, seed, limit):
    rollouts = sample(model(dtype=torch.float32), prompts, seed, limit)
    assert [r.prompt.tolist() for r in rollouts] == [p.tolist() for p in prompts for _ in range(3)]
    for rollout in rollouts:
        tokens = rollout.response.tolist()
        assert 1 <= rollout.length == len(tokens) == len(rollout.logprobs) <= limit
        assert END not in tokens[:-1]
        assert rollout.finished == (tokens[-1] == END)
        assert rollout.finished or rollout.length == limit


@FEW
@given(PROMPTS, st.integers(0, 10**6))
def test_same_seed_same_responses_in_prompt_then_sample_order(model, prompts, seed):
    policy = model(dtype=torch.float32)
    first, second = sample(policy, prompts, seed), sample(policy, prompts, seed)
    assert [r.response.tolist() for r in first] == [r.response.tolist() for r in second]
    assert all(a.logprobs.equal(b.logprobs) for a, b in zip(first, second, strict=True))
