"""Learning-rate schedules and the parameter groups of AdamW."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.config import OptimizerConfig
from reference_trainer.engine.optimizer import adamw, learning_rate


def config(**values) -> OptimizerConfig:
    return OptimizerConfig(learning_rate=1.0, **values)


@given(st.integers(0, 20), st.integers(1, 60), st.sampled_from(["cosine", "linear"]), st.floats(0, 1))
def test_warms_up_linearly_then_falls_from_the_peak_to_the_minimum(warmup, decay, schedule, ratio):
    total = warmup + decay
    settings = config(schedule=schedule, warmup_steps=warmup, total_steps=total, min_ratio=ratio)
    rates = [learning_rate(update, settings) for update in range(total + 3)]
    assert rates[:warmup] == pytest.approx([(i + 1) / warmup for i in range(warmup)])
    assert rates[warmup] == pytest.approx(1.0)
    falling = rates[warmup:]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(falling))
    assert rates[total:] == pytest.approx([ratio] * 3)


def test_cosine_is_half_way_at_half_time():
    assert learning_rate(5, config(schedule="cosine", total_steps=10)) == pytest.approx(0.5)


def test_constant_never_changes_after_the_warm_up():
    settings = config(warmup_steps=4)
    assert {learning_rate(update, settings) for update in range(4, 100)} == {1.0}


def test_vectors_are_not_decayed(model):
    groups = adamw(model(), config(weight_decay=0.1)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert all(p.ndim > 1 for p in groups[0]["params"])
    assert all(p.ndim == 1 for p in groups[1]["params"])
    assert sum(p.numel() for group in groups for p in group["params"]) == sum(p.numel() for p in model().parameters())


def test_half_precision_weights_are_refused_with_the_way_out(model):
    with pytest.raises(UsageError, match=r"is bfloat16, .* float32 and set autocast: bfloat16"):
        adamw(model(dtype=torch.bfloat16), config())
