"""Bytes of a GPU: against numbers worked out by hand, and activations against what a real forward pass keeps."""

import pytest
import torch

from reference_trainer.engine.settings import EngineConfig
from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM
from reference_trainer.plan.memory import GIB, activation_bytes, rollout_memory, training_memory
from reference_trainer.plan.settings import GPU
from reference_trainer.plan.shape import recipe_shape, shape_of
from reference_trainer.recipe import load_recipe
from reference_trainer.rollout.settings import RolloutEngineConfig


@pytest.fixture(scope="module")
def ling():
    return recipe_shape(load_recipe("ring_lite"))


def parts(memory):
    return {part.name: part.bytes for part in memory.parts}


def deepspeed(stage, **more):
    return EngineConfig(kind="deepspeed", zero_stage=stage, dtype="bfloat16", **more)


def test_the_shape_is_that_of_the_paper(ling):
    # By hand: embedding and head 2 x 126,464 x 2,048; a layer: attention 2,048 x (16 + 2 x 4) x 128 + 2,048^2, router
    # 64 x 2,048, experts 64 x 3 x 1,408 x 2,048, shared 3 x 2,816 x 2,048, two norms of 2,048; one norm at the end.
    layer = 2048 * 24 * 128 + 2048**2 + 64 * 2048 + 64 * 3 * 1408 * 2048 + 3 * 2816 * 2048 + 2 * 2048
    assert ling.largest_layer == layer
    assert ling.total == 28 * layer + 2 * 126_464 * 2048 + 2048
    assert ling.activated == ling.total - 28 * 58 * 3 * 1408 * 2048
    assert ling.total == pytest.approx(16.8e9, rel=1e-3)
    assert ling.activated == pytest.approx(2.75e9, rel=2e-3)
    assert ling.multiplied == ling.activated - 126_464 * 2048
    assert ling.kv_bytes() == 2 * 28 * 4 * 128 * 2 == 57_344


@pytest.mark.parametrize(
    ("stage", "weights", "gradients", "adamw"), [(1, 1, 1, 256), (2, 1, 256, 256), (3, 256, 256, 256)]
)
def test_each_zero_stage_shards_what_it_says(ling, stage, weights, gradients, adamw):
    found = parts(training_memory(ling, deepspeed(stage), GPU(), 256, 1024, reference=True))
    assert found["weights"] == 2 * ling.total / weights
    assert found["reference policy"] == 2 * ling.total / weights
    assert found["gradients"] == 4 * ling.total / gradients
    assert found["AdamW"] == 12 * ling.total / adamw
    assert ("gathered layers" in found) == (stage == 3)


def test_one_process_holds_all_of_it(ling):
    found = parts(training_memory(ling, EngineConfig(), GPU(), 1, 1024, reference=False))
    assert found["weights"] + found["gradients"] + found["AdamW"] == (4 + 4 + 8) * ling.total
    assert "reference policy" not in found


def test_offload_moves_states_to_the_host_and_hpz_adds_a_copy_in_the_node(ling):
    whole = training_memory(ling, deepspeed(3), GPU(), 8, 1024, reference=False)
    moved = training_memory(ling, deepspeed(3, offload="optimizer"), GPU(), 8, 1024, reference=False)
    assert whole.total - moved.total == (4 + 12) * ling.total / 8
    assert {part.name: part.bytes for part in moved.host} == {
        "gradients": 4 * ling.total / 8,
        "AdamW": 12 * ling.total / 8,
    }
    everything = training_memory(ling, deepspeed(3, offload="parameters"), GPU(), 8, 1024, reference=False)
    assert "weights" not in parts(everything)
    copied = deepspeed(3, deepspeed={"zero_optimization": {"zero_hpz_partition_size": 8}})
    found = parts(training_memory(ling, copied, GPU(), 256, 1024, reference=False))
    assert found["weights of the node (hpZ)"] == 2 * ling.total / 8


def test_checkpointing_keeps_layer_inputs_and_one_layer(ling):
    layer = activation_bytes(ling, 2)
    # By hand, at 2 bytes: norms 2 x 8 x 2,048; attention 2 x 128 x 40 + 64; router 6 x 64 + 72; experts 2 x 6 x
    # (2 x 2,048 + 4 x 1,408); shared 8 x 2,816.
    assert layer == 32_768 + 10_304 + 456 + 116_736 + 22_528
    plain = parts(training_memory(ling, deepspeed(3), GPU(), 8, 32_768, reference=False))
    kept = parts(training_memory(ling, deepspeed(3, activation_checkpointing=True), GPU(), 8, 32_768, reference=False))
    assert plain["activations"] == 32_768 * 28 * layer
    assert kept["activations"] == 32_768 * (28 * 2 * 2048 + layer)


def kept_for_backward(model, tokens):
    """Bytes of distinct tensors, parameters apart, that autograd keeps in a forward pass."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model.model(torch.arange(tokens)[None] % model.config.vocab_size, use_cache=False)
    assert output.last_hidden_state.requires_grad
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [{}, {"num_experts": 16, "num_experts_per_tok": 4}, {"moe_intermediate_size": 96}])
def test_activation_bytes_are_those_of_a_real_forward_pass(shape, dtype):
    def build(layers):
        values = {
            "vocab_size": 64,
            "hidden_size": 128,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "num_shared_experts": 2,
            "moe_intermediate_size": 64,
            "use_bias": False,
            "num_hidden_layers": layers,
            **shape,
        }
        config = BailingMoeConfig(**values)
        config._attn_implementation, config._experts_implementation = "sdpa", "eager"
        return BailingMoeForCausalLM(config).to(dtype)

    tokens = 256
    # Two sizes apart: what embedding, rotary tables and the last norm keep falls out.
    measured = (kept_for_backward(build(3), tokens) - kept_for_backward(build(1), tokens)) / (2 * tokens)
    counted = activation_bytes(shape_of(build(1).config, "test"), dtype.itemsize)
    assert counted == pytest.approx(measured, rel=0.1)


def test_the_cache_takes_what_vllm_has_left(ling):
    training = training_memory(ling, deepspeed(3), GPU(), 256, 32_768, reference=True)
    settings = RolloutEngineConfig(kind="vllm", gpu_memory_utilization=0.8, max_rows=48)
    memory = rollout_memory(training, ling, settings, GPU(), mean_tokens=6600, longest=24_776)
    free = 0.8 * 80 * GIB - 2 * ling.total - 2 * GIB
    assert parts(memory)["key-value cache"] == pytest.approx(free)
    assert memory.kv_tokens == int(free / 57_344)
    assert memory.concurrent == 48
    assert "activations" not in parts(memory)
    halves = settings.model_copy(update={"tensor_parallel": 2})
    split = rollout_memory(training, ling, halves, GPU(), mean_tokens=6600, longest=24_776)
    assert split.kv_tokens > 2 * memory.kv_tokens, "two GPUs share one copy of the weights"


def test_what_does_not_fit_is_said(ling):
    memory = training_memory(ling, EngineConfig(), GPU(), 1, 1024, reference=False)
    assert memory.total > memory.capacity == 76 * GIB
    assert not memory.fits
