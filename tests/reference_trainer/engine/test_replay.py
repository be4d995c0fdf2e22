"""The sampler's experts on their way through an update: from rollouts to the policy's routers, and no further."""

from dataclasses import replace

import pytest
import torch

from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine import OneProcessEngine
from reference_trainer.engine.batch import collate
from reference_trainer.engine.scorer import Scorer
from reference_trainer.objective import Selection
from reference_trainer.rollout import Rollout
from reference_trainer.step import Experience, update_batch
from reference_trainer.stream import Prompt

LAYERS, EXPERTS, K = 3, 4, 2
CPU = torch.device("cpu")


def with_experts(batch, seed=1):
    generator = torch.Generator().manual_seed(seed)
    routed = [torch.rand(size, LAYERS, EXPERTS, generator=generator).topk(K).indices.short() for size in batch.sizes]
    for experts in routed:
        experts[-1] = -1
    return replace(batch, routed_experts=routed)


def test_replay_changes_the_policy_and_leaves_the_reference_alone(model, batch):
    engine = OneProcessEngine(model(), ObjectiveConfig(kl_coefficient=0.1), OptimizerConfig())
    plain, replayed = batch([5, 1, 7]), with_experts(batch([5, 1, 7]))
    for reference in (True, False):
        pairs = zip(engine.logprobs(plain, reference), engine.logprobs(replayed, reference), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == reference


def test_replay_is_invariant_to_the_split_into_micro_batches(model, batch):
    results = []
    for limit in (1, 20, 10_000):
        policy = model()
        settings = OptimizerConfig(micro_batch_tokens=limit, learning_rate=1e-2)
        engine = OneProcessEngine(policy, ObjectiveConfig(kl_coefficient=0, balance_coefficient=0.01), settings)
        metrics = engine.update(with_experts(batch([5, 1, 7, 3])))
        results.append((metrics["loss"], metrics["gradient_norm"]))
    for loss, norm in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-10)
        assert norm == pytest.approx(results[0][1], rel=1e-10)


def test_padding_is_left_to_the_router(model, batch):
    made = with_experts(batch([9, 1]))
    micro = collate(made, [0, 1], CPU)
    assert micro.routed_experts.shape == (2, max(made.sizes), LAYERS, K)
    assert (micro.routed_experts[1, made.sizes[1] :] == -1).all()
    scorer = Scorer(model())
    together = scorer(micro).logprobs[1, :1]
    torch.testing.assert_close(together, scorer(collate(made, [1], CPU)).logprobs[0, :1], rtol=0, atol=1e-12)


def experience(experts):
    rollouts = [
        Rollout(torch.tensor([1, 2]), torch.tensor([3, 4, 5]), torch.zeros(3), True, 0, routed_experts=e)
        for e in experts
    ]
    return Experience([Prompt("p", (1, 2))], rollouts, torch.zeros(1, len(rollouts)))


def test_a_cut_response_takes_the_experts_of_the_tokens_it_keeps():
    experts = [torch.full((5, LAYERS, K), i, dtype=torch.int16) for i in range(3)]
    selection = Selection(kept=torch.tensor([3, 0, 1]), divisor=4.0, budget=4, available=1.0)
    batch = update_batch(experience(experts), torch.zeros(3), selection, torch.arange(3))
    assert [len(e) for e in batch.routed_experts] == batch.sizes == [5, 3]
    assert [int(e[0, 0, 0]) for e in batch.routed_experts] == [0, 2]


def test_without_the_samplers_experts_nothing_is_replayed():
    selection = Selection(kept=torch.tensor([3, 2]), divisor=4.0, budget=4, available=1.0)
    assert update_batch(experience([None, None]), torch.zeros(2), selection, torch.arange(2)).routed_experts is None
