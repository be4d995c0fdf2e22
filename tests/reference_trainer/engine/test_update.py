"""The update against the equations on one unsplit batch, and what must not change it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM

from harness.errors import CheckFailed, UsageError
from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine import OneProcessEngine, UpdateBatch
from reference_trainer.objective import balance_loss, expert_load, kl_per_token, router_sums, token_entropy, z_loss
from tests.reference_trainer.engine.probe import EXACT, STRONG, Probe, assert_same_metrics, gradient_of

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def by_the_equations(model: Any, reference: Any, batch: UpdateBatch, objective: ObjectiveConfig) -> torch.Tensor:
    """Eq. 6 with one forward pass a sequence, no padding and no micro-batches."""
    policy = entropies = torch.zeros((), dtype=torch.float64)
    layers: list[list[torch.Tensor]] = []
    for i, (prompt, response) in enumerate(zip(batch.prompts, batch.responses, strict=True)):
        ids = torch.cat([prompt, response])[None]
        output = model(input_ids=ids, output_router_logits=True, use_cache=False)
        logits = output.logits[0, len(prompt) - 1 : -1]
        logprobs = logits.log_softmax(-1).gather(-1, response[:, None])[:, 0]
        with torch.no_grad():
            other = reference(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
            other = other.log_softmax(-1).gather(-1, response[:, None])[:, 0]
        ratio = (logprobs - batch.old_logprobs[i]).exp()
        a = batch.advantages[i]
        bracket = torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a) - objective.kl_coefficient * kl_per_token(
            logprobs, other
        )
        weight = 1 / batch.divisor if objective.loss == "c3po" else 1 / (int(batch.lengths[i]) * batch.update_responses)
        policy = policy - (bracket * weight).sum()
        entropies = entropies + token_entropy(logits).sum() / batch.divisor
        layers.append(list(output.router_logits))
    joined = [torch.cat(parts) for parts in zip(*layers, strict=True)]
    everything = torch.ones(len(joined[0]), dtype=torch.bool)
    sums = router_sums(joined, everything, model.config.num_experts_per_tok)
    balance = balance_loss(sums.probabilities, expert_load(sums.counts), sums.tokens)
    return (
        policy
        - objective.entropy_coefficient * entropies
        + objective.balance_coefficient * balance
        + objective.z_coefficient * z_loss(sums.z, sums.tokens)
    )


@FEW
@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=6),
    st.integers(0, 1000),
    st.integers(1, 90),
    st.integers(1, 40),
    st.sampled_from(["c3po", "grpo"]),
)
def test_gradient_is_that_of_the_equations_whatever_the_micro_batches(model, batch, lengths, seed, tokens, block, loss):
    objective = ObjectiveConfig(**STRONG, loss=loss)
    policy = model()
    gradient, metrics = gradient_of(policy, batch(lengths, seed), tokens, block, loss=loss)

    policy, reference = model(), model()
    for parameter in reference.parameters():
        parameter.data += 0.05 * torch.sin(torch.arange(parameter.numel()).view(parameter.shape).to(parameter))
    value = by_the_equations(policy, reference, batch(lengths, seed), objective)
    value.backward()
    assert abs(metrics["loss"] - value.item()) < 1e-12
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad, **EXACT, msg=name)


@pytest.mark.parametrize(
    "switches",
    [
        {"router_tokens": "response"},
        {"expert_load": "raw_counts", "balance_coefficient": 1e-3},
        {"balance_form": "literal"},
        {"entropy_sign": "paper"},
        {"kl_estimator": "k2"},
        {"importance_sampling": "truncated", "importance_cap": 1.5},
        {"kl_coefficient": 0.0, "entropy_coefficient": 0.0},
        {"balance_coefficient": 0.0, "z_coefficient": 0.0},
        {"loss": "sft", "kl_coefficient": 0.0, "entropy_coefficient": 0.0},
    ],
    ids=str,
)
def test_micro_batches_change_nothing_under_any_switch(model, batch, switches):
    whole, metrics = gradient_of(model(), batch([5, 1, 7, 3, 3]), **switches)
    default, _ = gradient_of(model(), batch([5, 1, 7, 3, 3]))
    assert any((whole[name] - default[name]).abs().max() > 1e-9 for name in whole), "the switch moves nothing"
    for tokens, block in ((1, None), (13, None), (25, 13), (10**6, 13)):
        split, others = gradient_of(model(), batch([5, 1, 7, 3, 3]), tokens, block, **switches)
        for name in whole:
            torch.testing.assert_close(split[name], whole[name], **EXACT, msg=name)
        assert_same_metrics(others, metrics)


@FEW
@given(st.lists(st.integers(1, 8), min_size=1, max_size=5), st.integers(0, 1000), st.permutations(range(5)))
def test_order_of_the_sequences_changes_nothing(model, batch, lengths, seed, order):
    made = batch(lengths, seed)
    plain, _ = gradient_of(model(), made, 30)
    moved, _ = gradient_of(model(), made.take([i for i in order if i < len(made)]), 30)
    for name in plain:
        torch.testing.assert_close(moved[name], plain[name], **EXACT, msg=name)


def test_one_update_a_rollout_takes_the_current_policy_as_old_and_more_recompute_it_once(model, batch):
    made = replace(batch([4, 6]), old_logprobs=None)
    engine = Probe(model(), ObjectiveConfig(), OptimizerConfig(learning_rate=0.05))
    (single,) = engine.prepare([made])
    assert single.old_logprobs is None
    assert single.reference_logprobs is not None
    before = engine.logprobs(made)
    first, second = engine.prepare([made, made])
    for old, now in zip(first.old_logprobs, before, strict=True):
        torch.testing.assert_close(old, now, **EXACT)
    engine.update(first)
    assert all(old.equal(kept) for old, kept in zip(second.old_logprobs, first.old_logprobs, strict=True))
    assert engine.update(second)["clip_share"] > 0


def test_a_ratio_of_one_has_the_gradient_of_the_policy_gradient(model, batch):
    made = replace(batch([4, 6, 2]), old_logprobs=None)
    only = dict.fromkeys(STRONG, 0.0)
    gradient, _ = gradient_of(model(), made, **only)
    policy = model()
    for i, (prompt, response) in enumerate(zip(made.prompts, made.responses, strict=True)):
        logits = policy(input_ids=torch.cat([prompt, response])[None]).logits[0, len(prompt) - 1 : -1]
        logprobs = logits.log_softmax(-1).gather(-1, response[:, None]).sum()
        (-made.advantages[i] * logprobs / made.divisor).backward()
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad, **EXACT, msg=name)


def test_the_reference_is_the_start_of_the_stage_or_the_initial_model(model, batch):
    made = batch([4, 6])
    for policy, expected in (("stage_start", 0), ("initial", 7)):
        engine = OneProcessEngine(
            model(0), ObjectiveConfig(reference_policy=policy), OptimizerConfig(learning_rate=0.1), initial=model(7)
        )
        engine.update(*engine.prepare([made]))
        wanted = OneProcessEngine(model(expected), ObjectiveConfig(), OptimizerConfig()).logprobs(made)
        for got, want in zip(engine.logprobs(made, reference=True), wanted, strict=True):
            torch.testing.assert_close(got, want, **EXACT)


def test_an_update_without_tokens_changes_no_weight(model, batch):
    policy = model()
    engine = OneProcessEngine(policy, ObjectiveConfig(), OptimizerConfig(learning_rate=0.1, weight_decay=0.1))
    engine.update(*engine.prepare([batch([3, 3])]))
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    metrics = engine.update(replace(batch([]), tokens=0))
    assert all(value.equal(before[name]) for name, value in policy.state_dict().items())
    assert metrics["tokens_trained"] == 0
    assert metrics["entropy"] is metrics["gradient_norm"] is None


def test_a_gradient_that_is_not_finite_stops_the_run_and_leaves_the_weights(model, batch):
    policy = model()
    engine = OneProcessEngine(policy, ObjectiveConfig(), OptimizerConfig(learning_rate=0.1))
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    bad = batch([3, 3])
    with pytest.raises(CheckFailed, match="gradient norm of update 0 is"):
        engine.update(replace(*engine.prepare([bad]), advantages=torch.tensor([1.0, float("nan")])))
    assert all(value.equal(before[name]) for name, value in policy.state_dict().items())


def test_the_gradient_is_clipped_to_the_norm_given_and_reported_before_it(model, batch):
    """SGD-like check through AdamW's first moment, which holds (1 - beta1) times the gradient it was given."""
    for limit in (None, 1e-3):
        settings_ = OptimizerConfig(max_grad_norm=limit)
        engine = Probe(model(), ObjectiveConfig(**STRONG), settings_)
        metrics = engine.update(*engine.prepare([batch([5, 5])]))
        true = torch.cat([g.flatten() for g in engine.gradient.values()]).norm().item()
        assert metrics["gradient_norm"] == pytest.approx(true)
        moments = [state["exp_avg"].flatten() for state in engine.optimizer.state.values()]
        taken = torch.cat(moments).norm().item() / (1 - 0.9)
        assert taken == pytest.approx(true if limit is None else limit, rel=1e-3)


def test_a_dense_model_trains_without_router_terms(model, batch):
    policy = model(num_experts=None, num_experts_per_tok=0, num_shared_experts=0)
    engine = OneProcessEngine(policy, ObjectiveConfig(**STRONG), OptimizerConfig(micro_batch_tokens=12))
    metrics = engine.update(*engine.prepare([batch([5, 2, 4])]))
    assert metrics["gradient_norm"] > 0
    assert metrics["balance_loss"] is metrics["expert_load"] is None


def test_metrics_are_those_of_the_batch(model, batch):
    made = batch([5, 1, 7])
    engine = OneProcessEngine(model(), ObjectiveConfig(**STRONG), OptimizerConfig(micro_batch_tokens=12))
    (prepared,) = engine.prepare([made])
    now = torch.cat(engine.logprobs(made))
    metrics = engine.update(prepared)
    old, sampler = torch.cat(made.old_logprobs), torch.cat(made.sampling_logprobs)
    ratio = (now - old).exp()
    a = made.advantages.repeat_interleave(torch.tensor([5, 1, 7]))
    clipped = ((ratio > 1.2) & (a > 0)) | ((ratio < 0.8) & (a < 0))
    assert metrics["clip_share"] == pytest.approx(clipped.double().mean().item())
    assert metrics["logprob_mismatch"] == pytest.approx((old - sampler).abs().mean().item())
    assert metrics["kl"] == pytest.approx(0, abs=1e-12)  # the reference is still the policy
    assert metrics["tokens_trained"] == 13
    load = torch.tensor(metrics["expert_load"])
    assert load.shape == (2, 4)
    torch.testing.assert_close(load.sum(1), torch.ones(2))
    assert metrics["expert_imbalance"] == pytest.approx(4 * load.amax(1).mean().item())


def test_empty_prompts_and_responses_are_refused(batch):
    made = batch([3, 3])
    with pytest.raises(UsageError, match=r"sequence 1 .* empty prompt"):
        replace(made, prompts=[made.prompts[0], torch.tensor([], dtype=torch.long)])
    with pytest.raises(UsageError, match=r"sequence 0 .* empty response"):
        replace(made, responses=[torch.tensor([], dtype=torch.long), made.responses[1]])


def test_truncated_importance_needs_log_probabilities_of_the_sampler(model, batch):
    objective = ObjectiveConfig(importance_sampling="truncated")
    engine = OneProcessEngine(model(), objective, OptimizerConfig())
    with pytest.raises(UsageError, match="needs log-probabilities from the sampling engine"):
        engine.update(replace(batch([3]), sampling_logprobs=None))


def test_another_mixture_of_experts_model_trains_by_the_same_rules(batch):
    """Qwen2-MoE: its base model returns router logits of its own accord, in its own place."""
    sizes = {"vocab_size": 23, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_experts": 4, "num_experts_per_tok": 2}
    config = Qwen2MoeConfig(**sizes, **heads, moe_intermediate_size=8, shared_expert_intermediate_size=8)
    results = []
    for tokens in (10**6, 13):
        torch.manual_seed(0)
        policy = Qwen2MoeForCausalLM(config).to(torch.float32)
        engine = Probe(policy, ObjectiveConfig(**STRONG), OptimizerConfig(micro_batch_tokens=tokens))
        results.append((engine.update(*engine.prepare([batch([5, 1, 7], dtype=torch.float32)])), engine.gradient))
    (one, whole), (two, split) = results
    assert len(one["expert_load"]) == 2
    assert two["balance_loss"] == pytest.approx(one["balance_loss"], rel=1e-5)
    for name in whole:
        torch.testing.assert_close(split[name], whole[name], rtol=1e-4, atol=1e-6)


def test_gradient_checkpointing_changes_no_gradient(model, batch):
    plain, _ = gradient_of(model(), batch([5, 2, 4]))
    policy = model()
    policy.gradient_checkpointing_enable()
    recomputed, _ = gradient_of(policy, batch([5, 2, 4]))
    for name in plain:
        torch.testing.assert_close(recomputed[name], plain[name], **EXACT, msg=name)


def test_a_kl_term_without_the_reference_is_never_left_out_in_silence(model, batch):
    engine = OneProcessEngine(model(), ObjectiveConfig(), OptimizerConfig())
    with pytest.raises(UsageError, match=r"kl_coefficient 0.001 needs the reference"):
        engine.update(batch([3]))
