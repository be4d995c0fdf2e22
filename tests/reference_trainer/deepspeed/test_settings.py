"""The recipe's section: what it makes of DeepSpeed's configuration, and what it refuses."""

import sys

import pytest
import torch

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine import OneProcessEngine
from reference_trainer.engine.settings import EngineConfig, deepspeed_config, make_engine
from tests.reference_trainer.deepspeed import toy


def test_every_field_reaches_deepspeeds_own_reader():
    from deepspeed.runtime.config import DeepSpeedConfig

    engine = EngineConfig(
        kind="deepspeed",
        zero_stage=3,
        offload="parameters",
        dtype="bfloat16",
        deepspeed={"zero_optimization": {"reduce_bucket_size": 123}, "wall_clock_breakdown": True},
    )
    read = DeepSpeedConfig(deepspeed_config(engine, OptimizerConfig(max_grad_norm=0.5)))
    zero = read.zero_config
    assert (int(zero.stage), zero.offload_optimizer.device, zero.offload_param.device) == (3, "cpu", "cpu")
    assert (zero.reduce_bucket_size, read.wall_clock_breakdown) == (123, True)
    assert (read.gradient_clipping, read.managed_gradient_accumulation) == (0.5, False)
    assert read.bfloat16_config.enabled
    assert (read.grad_accum_dtype, read.communication_data_type) == ("fp32", torch.float32)


def test_no_clipping_is_said_and_not_left_to_deepspeeds_default():
    engine = EngineConfig(kind="deepspeed", zero_stage=1)
    config = deepspeed_config(engine, OptimizerConfig(max_grad_norm=None))
    assert config["gradient_clipping"] == 0
    assert config["zero_optimization"] == {"stage": 1}
    assert "bf16" not in config


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "deepspeed", "zero_stage": 0}, "zero_stage = 0"),
        ({"kind": "deepspeed", "zero_stage": 2, "offload": "parameters"}, "needs zero_stage 3, not 2"),
        ({"offload": "optimizer"}, "need kind 'deepspeed'"),
        ({"deepspeed": {"wall_clock_breakdown": True}}, "need kind 'deepspeed'"),
        ({"dtype": "bfloat16"}, "set optimizer.autocast to bfloat16"),
        (
            {"kind": "deepspeed", "deepspeed": {"gradient_clipping": 1}},
            "'gradient_clipping' is decided by optimizer.max_grad_norm",
        ),
        (
            {"kind": "deepspeed", "deepspeed": {"zero_optimization": {"stage": 1}}},
            "'zero_optimization.stage' is decided by engine.zero_stage",
        ),
        ({"kind": "deepspeed", "deepspeed": {"bf16": {}}}, "decided by engine.dtype"),
        ({"zero_stages": 2}, "did you mean 'zero_stage'"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused_in_one_sentence(section, message):
    with pytest.raises(UsageError, match=message) as refused:
        EngineConfig.read(section, "recipe.yaml, engine")
    assert "recipe.yaml, engine" in str(refused.value)


def test_autocast_under_zero_3_is_told_of_dtype():
    settings = EngineConfig(kind="deepspeed", zero_stage=3)
    with pytest.raises(UsageError, match=r"set engine\.dtype to bfloat16 instead"):
        make_engine(settings, toy.build_model(), ObjectiveConfig(), OptimizerConfig(autocast="bfloat16"))


def test_without_deepspeed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(UsageError, match=r"pip install 'ringlite\[deepspeed\]'"):
        make_engine(EngineConfig(kind="deepspeed"), toy.build_model(), ObjectiveConfig(), OptimizerConfig())


def test_one_process_is_the_default_and_recomputes_on_demand():
    engine = make_engine(
        EngineConfig(activation_checkpointing=True), toy.build_model(), ObjectiveConfig(), OptimizerConfig()
    )
    assert type(engine) is OneProcessEngine
    assert engine.scorer.model.is_gradient_checkpointing
