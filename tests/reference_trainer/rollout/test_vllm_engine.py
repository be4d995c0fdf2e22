"""The vLLM engine: its terms without vLLM, its classes where the package is, rollouts where it runs."""

import math
import os
import sys

import numpy as np
import pytest
import torch

from harness.errors import CheckFailed, UsageError
from reference_trainer.model import BailingMoeConfig, hub_weights
from reference_trainer.rollout import (
    RolloutEngineConfig,
    RolloutRequest,
    Sampling,
    TransformersEngine,
    group_requests,
    make_rollout_engine,
)
from reference_trainer.rollout.sampling import log_distribution
from reference_trainer.rollout.vllm_engine import VllmEngine
from reference_trainer.rollout.vllm_outputs import rollout_of, routed_experts, sampling_params
from reference_trainer.rollout.vllm_weights import prepared_weights, refuse_other_arithmetic
from tests.reference_trainer.model.shapes import VARIANTS, hub_config
from tests.vllm_here import need_engine, needs_classes

END, LIMIT = 3, 24
CPU = torch.device("cpu")


def test_a_missing_package_is_named_with_its_extra(policy, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UsageError, match=r"pip install 'ringlite\[vllm\]'"):
        make_rollout_engine(RolloutEngineConfig(kind="vllm"), policy(), END)


def test_the_default_engine_decodes_with_the_trained_model(policy):
    engine = make_rollout_engine(RolloutEngineConfig(max_rows=7), policy(), END)
    assert isinstance(engine, TransformersEngine)
    assert engine.max_rows == 7


def test_router_replay_needs_an_engine_that_tells_and_a_model_that_listens(policy):
    from transformers import LlamaConfig, LlamaForCausalLM

    with pytest.raises(UsageError, match="transformers engine decodes with the trained model itself"):
        make_rollout_engine(RolloutEngineConfig(router_replay=True), policy(), END)
    shape = {"vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    llama = LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=2))
    with pytest.raises(UsageError, match="LlamaForCausalLM does not"):
        make_rollout_engine(RolloutEngineConfig(kind="vllm", router_replay=True), llama, END)


@pytest.mark.parametrize(("ranks", "parallel"), [("1", 2), ("8", 3)])
def test_tensor_parallel_needs_its_ranks(policy, monkeypatch, ranks, parallel):
    pytest.importorskip("vllm", reason="vLLM is not installed: pip install 'ringlite[vllm]'")
    monkeypatch.setenv("WORLD_SIZE", ranks)
    with pytest.raises(UsageError, match=f"tensor_parallel {parallel} needs"):
        VllmEngine(policy().config, END, RolloutEngineConfig(kind="vllm", tensor_parallel=parallel))


UNLIKE = {
    "output bias",
    "both biases",
    "one expert a token",
    "tied",
    "tied and norm_head",
    "dynamic rope, short",
    "dynamic rope, long",
    "yarn rope, one mscale",
    "everything",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_configurations_that_vllm_computes_otherwise_are_refused(variant):
    config = BailingMoeConfig(**hub_config(**VARIANTS[variant]))
    if variant in UNLIKE:
        with pytest.raises(UsageError, match="vLLM computes another model"):
            refuse_other_arithmetic(config)
    else:
        refuse_other_arithmetic(config)


def test_weights_are_sent_as_copies_under_hub_names_with_the_head_normalised(policy):
    model = policy()
    sent = dict(prepared_weights(hub_weights(model), True, torch.float64, CPU))
    own = dict(hub_weights(model))
    assert sent.keys() == own.keys()
    norms = own["lm_head.weight"].double().square().sum(0).sqrt()
    torch.testing.assert_close(sent.pop("lm_head.weight"), own.pop("lm_head.weight").double() / (norms + 1e-7))
    for name, tensor in sent.items():
        assert torch.equal(tensor, own[name].double())
    plain = dict(prepared_weights(hub_weights(model), False, torch.float32, CPU))
    assert torch.equal(plain["lm_head.weight"], model.lm_head.weight)
    before = {name: tensor.clone() for name, tensor in plain.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(torch.equal(plain[name], tensor) for name, tensor in before.items())


def experts_of_vllm(tokens, layers=3, top_k=2, experts=8):
    generator = np.random.default_rng(0)
    chosen = generator.random((tokens - 1, layers, experts)).argsort(-1)[..., :top_k].astype(np.uint8)
    chosen[:, 0] = 0  # dense: vLLM leaves zeros there
    return chosen


def test_routed_experts_get_a_free_last_token(policy):
    config = policy(first_k_dense_replace=1).config
    chosen = experts_of_vllm(9)
    found = routed_experts(chosen, 9, config)
    assert found.dtype == torch.int16
    assert torch.equal(found[:-1], torch.from_numpy(chosen.astype(np.int16)))
    assert (found[-1] == -1).all()


@pytest.mark.parametrize("fault", ["none", "short", "layers", "twice", "unknown"])
def test_routed_experts_that_no_router_chose_are_refused(policy, fault):
    config = policy(first_k_dense_replace=1).config
    chosen = experts_of_vllm(9)
    chosen[4, 2] = {"twice": 5, "unknown": (1, 8)}.get(fault, chosen[4, 2])
    given = {"none": None, "short": chosen[:-1], "layers": chosen[:, :2]}.get(fault, chosen)
    with pytest.raises(CheckFailed, match="routed experts"):
        routed_experts(given, 9, config)


def completion(tokens, logprobs, reason="stop", flat=True, **more):
    """vLLM's own answer, log-probabilities in either of its two forms."""
    from vllm.logprobs import FlatLogprobs, Logprob
    from vllm.outputs import CompletionOutput

    positions = [{token: Logprob(value, 1)} for token, value in zip(tokens, logprobs, strict=True)]
    given = positions
    if flat:
        given = FlatLogprobs()
        for position in positions:
            given.append(position)
    return CompletionOutput(0, "", tokens, sum(logprobs), given, finish_reason=reason, **more)


REQUEST = RolloutRequest(torch.tensor([5, 6]), 2**62 + 1)


@needs_classes
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_completion_becomes_a_rollout(policy, flat, reason):
    output = completion([7, 8, END], [-0.5, -1.25, 0.0], reason, flat)
    rollout = rollout_of(REQUEST, output, policy().config, router_replay=False)
    assert rollout.response.tolist() == [7, 8, END]
    assert rollout.logprobs.tolist() == [-0.5, -1.25, 0.0]
    assert (rollout.finished, rollout.seed) == (reason == "stop", REQUEST.seed)
    assert rollout.routed_experts is None


@needs_classes
def test_a_completion_brings_its_experts(policy):
    chosen = experts_of_vllm(5)
    output = completion([7, 8, END], [-0.5, -1.25, 0.0], routed_experts=chosen)
    rollout = rollout_of(REQUEST, output, policy(first_k_dense_replace=1).config, router_replay=True)
    assert torch.equal(rollout.routed_experts[:-1], torch.from_numpy(chosen.astype(np.int16)))


@needs_classes
def test_a_completion_without_its_figures_is_refused(policy):
    config = policy().config
    with pytest.raises(CheckFailed, match="by 'abort'"):
        rollout_of(REQUEST, completion([7], [-0.5], "abort"), config, False)
    short = completion([7, 8], [-0.5, -1.0])
    short.logprobs = completion([7], [-0.5]).logprobs
    with pytest.raises(CheckFailed, match="log-probabilities of 1 tokens for a response of 2"):
        rollout_of(REQUEST, short, config, False)
    short.logprobs = completion([7, 9], [-0.5, -1.0]).logprobs
    with pytest.raises(CheckFailed, match="the token that it drew"):
        rollout_of(REQUEST, short, config, False)


@needs_classes
def test_sampling_parameters_of_vllm():
    theirs = sampling_params(REQUEST, Sampling(100, 0.7, 0.9), [END, 4], context=40)
    assert (theirs.temperature, theirs.top_p, theirs.seed, theirs.max_tokens) == (0.7, 0.9, REQUEST.seed, 38)
    assert theirs.stop_token_ids == [END, 4]
    assert (theirs.top_k, theirs.min_p, theirs.repetition_penalty, theirs.logprobs) == (0, 0.0, 1.0, 0)
    assert theirs.ignore_eos
    assert sampling_params(REQUEST, Sampling(9), [END], context=40).max_tokens == 9


# The engine itself: on a GPU, or with vLLM's build for CPUs, where sleep mode and routed experts are missing.

SHAPE = {"moe_intermediate_size": 64, "hidden_size": 64, "head_dim": 32, "max_position_embeddings": 64}


@pytest.fixture(scope="module")
def running(policy):
    """An engine and the policy that it samples from; the policy's head is a normalised one."""
    device = need_engine()
    if device == "cpu":
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    model = policy(first_k_dense_replace=1, **SHAPE)
    model.lm_head.normalise = True
    settings = RolloutEngineConfig(
        kind="vllm",
        dtype="float32",
        max_rows=16,
        gpu_memory_utilization=0.3,
        enforce_eager=True,
        sleep=0 if device == "cpu" else 1,
        router_replay=device == "cuda",
    )
    engine = make_rollout_engine(settings, model, END)
    with pytest.raises(UsageError, match="call update_weights first"):
        engine.generate(group_requests([torch.tensor([5])], 1, seed=0), Sampling(LIMIT))
    yield engine, model
    engine.close()


def trainer_logprobs(model, rollout, sampling):
    tokens = torch.cat((rollout.prompt, rollout.response))[None]
    routed = None if rollout.routed_experts is None else rollout.routed_experts[None]
    logits = model(tokens, use_cache=False, routed_experts=routed).logits[0, len(rollout.prompt) - 1 : -1]
    known = log_distribution(logits, sampling.temperature, sampling.top_p)
    return known.gather(1, rollout.response[:, None])[:, 0]


@pytest.mark.gpu
@pytest.mark.parametrize("sampling", [Sampling(LIMIT), Sampling(LIMIT, 0.7, 0.9), Sampling(LIMIT, 0.0)], ids=str)
def test_logprobs_are_the_trainers_after_each_update_in_place(running, prompts, sampling):
    engine, model = running
    for update in range(2):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * update * torch.randn_like(parameter))
        engine.update_weights(hub_weights(model))
        for _ in range(2):  # the second time from a sleep in between
            rollouts = engine.generate(group_requests(prompts, 4, seed=1), sampling)
            for rollout in rollouts:
                expected = trainer_logprobs(model, rollout, sampling)
                torch.testing.assert_close(rollout.logprobs, expected, atol=1e-4, rtol=0)


@pytest.mark.gpu
def test_rollouts_keep_order_ends_and_limits(running, prompts):
    engine, model = running
    engine.update_weights(hub_weights(model))
    requests = group_requests(prompts, 4, seed=2)
    rollouts = engine.generate(requests, Sampling(1000))
    assert [rollout.seed for rollout in rollouts] == [request.seed for request in requests]
    for request, rollout in zip(requests, rollouts, strict=True):
        assert torch.equal(request.prompt, rollout.prompt)
        ends = rollout.response == END
        assert not ends[:-1].any()
        assert rollout.finished == bool(ends[-1])
        assert rollout.finished or len(request.prompt) + rollout.length == engine.context
    again = engine.generate(requests, Sampling(1000))
    assert sum(torch.equal(a.response, b.response) for a, b in zip(rollouts, again, strict=True)) >= len(rollouts) - 2
    with pytest.raises(UsageError, match="leaves no room"):
        engine.generate([RolloutRequest(torch.arange(engine.context), 1)], Sampling(5))


@pytest.mark.gpu
def test_tokens_follow_the_distribution(running):
    engine, model = running
    engine.update_weights(hub_weights(model))
    prompt = torch.tensor([5, 9, 11])
    first = torch.tensor([r.response[0] for r in engine.generate(group_requests([prompt], 2000, seed=3), Sampling(1))])
    expected = model(prompt[None]).logits[0, -1].softmax(-1) * len(first)
    seen = torch.bincount(first, minlength=len(expected)).float()
    chi2 = ((seen - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    assert chi2 < freedom + 6 * math.sqrt(2 * freedom)


@pytest.mark.gpu
def test_experts_that_vllm_chose_come_along(running, prompts):
    engine, model = running
    if need_engine() == "cpu":
        pytest.skip("vLLM returns routed experts on GPUs only")
    engine.update_weights(hub_weights(model))
    for rollout in engine.generate(group_requests(prompts, 2, seed=4), Sampling(LIMIT)):
        assert rollout.routed_experts.shape == (len(rollout.prompt) + rollout.length, 3, 2)
