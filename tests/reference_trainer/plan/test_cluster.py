"""The clock of a step: by hand, and what must hold whatever the lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_trainer.engine.settings import EngineConfig
from reference_trainer.objective import select_tokens
from reference_trainer.plan.rates import Decoding, Links, Training, extra_forwards, make_links
from reference_trainer.plan.settings import GPU
from reference_trainer.recipe import load_recipe

lengths = st.integers(1, 6).flatmap(
    lambda prompts: st.lists(st.integers(1, 60), min_size=4 * prompts, max_size=4 * prompts).map(
        lambda values: np.array(values, dtype=np.int64).reshape(-1, 4)
    )
)


def token_by_token(sampler, queue):
    """One token after the other, as an engine does it."""
    waiting, running, seconds = list(queue), [], 0.0
    while waiting or running:
        while waiting and len(running) < sampler.rows:
            running.append([waiting.pop(0), sampler.prompt_tokens])
        context = sum(cached for _, cached in running)
        seconds += sampler.decoding.seconds(len(running), context)
        running = [[left - 1, cached + 1] for left, cached in running if left > 1]
    return seconds


def test_a_token_reads_the_weights_it_needs_and_the_cache(small_shape):
    decoding = Decoding(small_shape, bytes_per_second=1e4, flops=1e9)
    assert decoding.weights_read(1) == pytest.approx(2 * (500 + 100))
    assert decoding.weights_read(2) == pytest.approx(2 * (500 + 400 * (1 - 0.75**2)))
    assert decoding.weights_read(1000) == pytest.approx(2 * 900)
    assert small_shape.kv_bytes() == 32
    assert decoding.seconds(1, 50) == pytest.approx((1200 + 32 * 50) / 1e4)
    assert decoding.rate(1, 50) == pytest.approx(1e4 / (1200 + 1600))
    assert decoding.scaled(2).seconds(1, 50) == pytest.approx(decoding.seconds(1, 50) / 2)
    slow = Decoding(small_shape, bytes_per_second=1e12, flops=100)
    assert slow.seconds(3, 10) == pytest.approx(2 * 600 * 3 / 100), "bound by operations"


@given(lengths, st.integers(1, 5), st.sampled_from([1, 2, 3, 100]))
def test_the_clock_is_that_of_an_engine_that_goes_token_by_token(make_sampler, drawn, engines, rows):
    sampler = make_sampler(engines=engines, rows=rows)
    flat = drawn.reshape(-1).tolist()
    slowest = max(token_by_token(sampler, flat[first::engines]) for first in range(min(engines, len(flat))))
    assert sampler.seconds(drawn) == pytest.approx(slowest, rel=1e-9)


@given(lengths, st.data())
def test_a_longer_response_is_never_faster(make_cluster, drawn, data):
    cluster = make_cluster(gpus=2)
    longer = drawn.copy()
    place = data.draw(st.integers(0, drawn.size - 1))
    longer.reshape(-1)[place] += data.draw(st.integers(1, 50))
    assert cluster.sampler.seconds(longer) >= cluster.sampler.seconds(drawn) - 1e-9
    assert cluster.training_seconds(longer.reshape(-1)) >= cluster.training_seconds(drawn.reshape(-1))


@given(lengths, st.integers(1, 3), st.integers(1, 4))
def test_more_ranks_are_never_slower(make_cluster, drawn, ranks, times):
    few, many = make_cluster(gpus=ranks), make_cluster(gpus=ranks * times)
    assert many.sampler.seconds(drawn) <= few.sampler.seconds(drawn) + 1e-9
    flat = drawn.reshape(-1)
    assert many.training_seconds(flat) <= few.training_seconds(flat) + 1e-9


@given(lengths, st.integers(1, 400))
def test_a_budget_never_makes_an_update_slower(make_cluster, drawn, budget):
    import torch

    cluster = make_cluster(gpus=1)
    flat = drawn.reshape(-1)
    kept = select_tokens(torch.from_numpy(flat), budget).kept.numpy()
    assert cluster.training_seconds(kept) <= cluster.training_seconds(flat) + 1e-9


def test_an_update_is_operations_over_speed_on_the_slowest_rank(make_cluster, small_shape):
    kept = np.array([10, 0, 30, 20])
    tokens = [20 + 30, 40]  # two ranks get every second sequence that is left, with 10 tokens of prompt
    squares = [20**2 + 30**2, 40**2]
    flops = [4 * (2 * 600 * t + 2 * 2 * 2 * 4 * s) for t, s in zip(tokens, squares, strict=True)]
    assert make_cluster(gpus=2).training_seconds(kept) == pytest.approx(max(flops) / 1e6)
    assert make_cluster(gpus=2, rate=25.0).training_seconds(kept) == pytest.approx(2.0)
    assert make_cluster(gpus=2).training_seconds(np.zeros(4, dtype=np.int64)) == 0


def test_links_move_what_each_zero_stage_needs(small_shape):
    gpu = GPU(node=2, node_link_gb=4e-9, network_gb=1e-9)  # 4 and 1 bytes a second
    half = {"kind": "deepspeed", "dtype": "bfloat16"}

    def links(stage, gpus, **more):
        return make_links(small_shape, EngineConfig(zero_stage=stage, **half, **more), gpu, gpus)

    # By hand: 2,000 bytes of weights and 4,000 of gradients, of which each rank lacks 3/4 (or 1/2).
    assert links(3, 4) == Links(1500, 1500 + 3000, 0)
    assert links(3, 2) == Links(250, 250 + 500, 0)
    assert links(2, 4) == Links(0, 3000, 1500)
    assert links(1, 4) == Links(0, 0, 4500)
    assert links(3, 4, deepspeed={"zero_optimization": {"zero_hpz_partition_size": 2}}) == Links(1500, 375 + 3000, 0)
    assert links(3, 1) == Links()
    assert Links(1, 2, 5).seconds(forwards=2, passes=3) == 3 * (3 * 1 + 2) + 5
    training = Training(small_shape, flops=1e12, links=Links(1, 2, 5), pass_tokens=100)
    assert training.seconds(tokens=250, squares=0, forwards=2) == 20


def test_extra_forwards_are_those_of_the_update():
    stage = load_recipe("ring_lite").c3po_math.rl
    assert extra_forwards(stage.objective, stage.optimizer) == 2, "reference policy and router statistics"
    assert extra_forwards(stage.objective, stage.optimizer, passes=1) == 1
    several = stage.optimizer.model_copy(update={"updates_per_rollout": 4})
    assert extra_forwards(stage.objective, several) == 3
    assert extra_forwards(load_recipe("ring_lite").distill.objective, stage.optimizer) == 1
