"""The transformers engine: exact log-probabilities, and tokens that depend on prompt and seed alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM

from harness.errors import UsageError
from reference_trainer.rollout import RolloutRequest, Sampling, TransformersEngine, group_requests

END = 3
LIMIT = 24


def trainer_logprobs(model, rollout, temperature=1.0):
    """Teacher-forced log-probabilities of the response, as the trainer computes them."""
    tokens = torch.cat((rollout.prompt, rollout.response))[None]
    logits = model(tokens, use_cache=False).logits[0, len(rollout.prompt) - 1 : -1] / temperature
    return torch.log_softmax(logits, -1).gather(1, rollout.response[:, None])[:, 0]


def same(one, other):
    return all(torch.equal(a.response, b.response) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("max_rows", [1, 3, 16, 500])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_rollout_logprob_equals_trainer_logprob_on_the_same_tokens(policy, prompts, temperature, max_rows, attention):
    model = policy(first_k_dense_replace=1)
    model.set_attn_implementation(attention)
    engine = TransformersEngine(model, END, max_rows=max_rows)
    rollouts = engine.generate(group_requests(prompts, 4, seed=1), Sampling(LIMIT, temperature))
    assert {rollout.finished for rollout in rollouts} == {True, False}
    for rollout in rollouts:
        assert rollout.logprobs.dtype == torch.float32
        expected = trainer_logprobs(model, rollout, temperature)
        torch.testing.assert_close(rollout.logprobs, expected, atol=2e-5, rtol=0)


def test_lengths_count_the_end_token_and_only_generated_tokens(policy, prompts):
    rollouts = TransformersEngine(policy(), [END, 5]).generate(group_requests(prompts, 8, seed=2), Sampling(LIMIT))
    for rollout in rollouts:
        ends = torch.isin(rollout.response, torch.tensor([END, 5]))
        assert rollout.length == len(rollout.response) == len(rollout.logprobs)
        assert not ends[:-1].any()
        assert rollout.finished == bool(ends[-1]) == (not rollout.truncated)
        assert rollout.finished or rollout.length == LIMIT
        assert rollout.length <= LIMIT
    assert {rollout.response[-1].item() for rollout in rollouts if rollout.finished} == {END, 5}


def test_order_is_that_of_the_requests(policy, prompts):
    requests = group_requests(prompts, 3, seed=3)
    rollouts = TransformersEngine(policy(), END, max_rows=4).generate(requests, Sampling(LIMIT))
    assert [rollout.seed for rollout in rollouts] == [request.seed for request in requests]
    assert all(torch.equal(r.prompt, q.prompt) for r, q in zip(rollouts, requests, strict=True))
    assert len({tuple(rollout.response.tolist()) for rollout in rollouts}) > len(requests) // 2


@settings(max_examples=15)
@given(data=st.data())
def test_a_response_does_not_depend_on_what_is_drawn_with_it(policy, prompts, data):
    model = policy()
    requests = group_requests(prompts, 3, seed=4)
    whole = TransformersEngine(model, END).generate(requests, Sampling(LIMIT))
    chosen = data.draw(st.lists(st.sampled_from(range(len(requests))), min_size=1, max_size=12, unique=True))
    rows = data.draw(st.integers(1, 8))
    part = TransformersEngine(model, END, max_rows=rows).generate([requests[i] for i in chosen], Sampling(LIMIT))
    assert same(part, [whole[i] for i in chosen])


def test_same_seed_same_rollouts_and_another_seed_others(policy, prompts):
    engine = TransformersEngine(policy(), END)
    first = engine.generate(group_requests(prompts, 2, seed=5), Sampling(LIMIT))
    again = engine.generate(group_requests(prompts, 2, seed=5), Sampling(LIMIT))
    other = engine.generate(group_requests(prompts, 2, seed=6), Sampling(LIMIT))
    assert same(first, again)
    assert all(torch.equal(a.logprobs, b.logprobs) for a, b in zip(first, again, strict=True))
    assert not same(first, other)


def test_the_global_generator_is_left_alone(policy, prompts):
    model = policy()
    state = torch.get_rng_state()
    TransformersEngine(model, END).generate(group_requests(prompts, 1, seed=1), Sampling(4))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_longer_limit_continues_the_same_responses(policy, prompts):
    engine, requests = TransformersEngine(policy(), END), group_requests(prompts, 4, seed=8)
    short, long = (engine.generate(requests, Sampling(n)) for n in (6, 90))
    for a, b in zip(short, long, strict=True):
        assert torch.equal(b.response[: a.length], a.response)
        assert not a.finished or a.length == b.length
    assert max(rollout.length for rollout in long) > 64, "the buffers never grew"


def test_the_models_context_cuts_responses(policy, prompts):
    model = policy(max_position_embeddings=14)
    engine, requests = TransformersEngine(model, END), group_requests(prompts, 8, seed=2)
    for rollout in engine.generate(requests, Sampling(LIMIT)):
        assert len(rollout.prompt) + rollout.length <= 14
        assert rollout.finished or len(rollout.prompt) + rollout.length == 14
    with pytest.raises(UsageError, match="request 5 has 12 tokens"):
        TransformersEngine(policy(max_position_embeddings=12), END).generate(
            group_requests(prompts, 1, seed=2), Sampling(LIMIT)
        )


def test_greedy_equals_transformers_generate(policy, prompts):
    model = policy()
    requests = [RolloutRequest(prompt, seed=0) for prompt in prompts]
    rollouts = TransformersEngine(model, END, max_rows=3).generate(requests, Sampling(LIMIT, temperature=0))
    for rollout in rollouts:
        generated = model.generate(
            rollout.prompt[None], max_new_tokens=LIMIT, do_sample=False, eos_token_id=END, pad_token_id=0
        )
        assert rollout.response.tolist() == generated[0, len(rollout.prompt) :].tolist()
        torch.testing.assert_close(rollout.logprobs, trainer_logprobs(model, rollout), atol=2e-5, rtol=0)


def test_first_tokens_follow_the_models_distribution(policy, prompts):
    """A chi-squared test of 40,000 draws against the exact probabilities; fails by chance once in 10^6 models."""
    from scipy.stats import chisquare

    model, draws = policy(), 40_000
    engine = TransformersEngine(model, END, max_rows=draws)
    rollouts = engine.generate(group_requests(prompts[:1], draws, seed=9), Sampling(1))
    counts = torch.bincount(torch.cat([r.response for r in rollouts]), minlength=19)
    expected = torch.softmax(model(prompts[0][None]).logits[0, -1].double(), -1) * draws
    assert expected.min() > 5
    assert chisquare(counts.numpy(), expected.detach().numpy(), sum_check=False).pvalue > 1e-6


def test_top_p_draws_from_the_nucleus_with_its_renormalised_logprobs(policy, prompts):
    model, top_p = policy(), 0.5
    rollouts = TransformersEngine(model, END).generate(group_requests(prompts, 20, seed=1), Sampling(1, top_p=top_p))
    for rollout in rollouts:
        probabilities = torch.softmax(model(rollout.prompt[None]).logits[0, -1], -1)
        ordered, order = probabilities.sort(descending=True)
        size = int((ordered.cumsum(-1) < top_p).sum()) + 1
        assert rollout.response[0] in order[:size]
        exact = probabilities[rollout.response[0]] / ordered[:size].sum()
        torch.testing.assert_close(rollout.logprobs[0].exp(), exact, atol=2e-5, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_and_weights_are_left_as_found(policy, prompts, training):
    model = policy(attention_dropout=0.3).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = TransformersEngine(model, END).generate(group_requests(prompts, 2, seed=1), Sampling(8))
    assert model.training == training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert same(first, TransformersEngine(model.eval(), END).generate(group_requests(prompts, 2, seed=1), Sampling(8)))


def test_new_weights_are_used_at_once(policy, prompts):
    model = policy()
    engine, requests = TransformersEngine(model, END), group_requests(prompts, 2, seed=1)
    before = engine.generate(requests, Sampling(8))
    with torch.no_grad():
        model.lm_head.weight.neg_()
    assert not same(before, engine.generate(requests, Sampling(8)))


def test_any_transformers_model_will_do(prompts):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    widths = {"intermediate_size": 24, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24}
    model = Qwen2MoeForCausalLM(Qwen2MoeConfig(vocab_size=19, num_experts=4, **shape, **widths)).eval()
    rollouts = TransformersEngine(model, END, max_rows=5).generate(group_requests(prompts, 2, seed=1), Sampling(LIMIT))
    for rollout in rollouts:
        torch.testing.assert_close(rollout.logprobs, trainer_logprobs(model, rollout), atol=2e-5, rtol=0)


def test_no_requests_no_rollouts(policy):
    assert TransformersEngine(policy(), END).generate([], Sampling(4)) == []


def test_bad_input_is_refused_by_name(policy, prompts):
    model = policy()
    requests = [RolloutRequest(prompts[0], 0), RolloutRequest(torch.empty(0, dtype=torch.long), 1)]
    with pytest.raises(UsageError, match="request 1 is empty"):
        TransformersEngine(model, END).generate(requests, Sampling(4))
    with pytest.raises(UsageError, match="max_rows"):
        TransformersEngine(model, END, max_rows=0)
    for settings_, named in (
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_new_tokens": 1, "temperature": -1.0}, "temperature"),
        ({"max_new_tokens": 1, "top_p": 0.0}, "top_p"),
    ):
        with pytest.raises(UsageError, match=named):
            Sampling(**settings_)
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(UsageError, match="flash_attention_2"):
        TransformersEngine(model, END)
