"""Hub names on disk, 3-D experts in memory, and nothing lost on the way through."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM, hub_weights, load_hub_weights
from tests.reference_trainer.model.shapes import VARIANTS

TOKENS = torch.randint(0, 97, (2, 11), generator=torch.Generator().manual_seed(5))


def read_all(folder):
    weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= load_file(file)
    return weights


@pytest.mark.parametrize("shard", ["50GB", "40KB"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("variant", ["plain", "tied", "everything", "all layers dense"])
def test_hub_to_native_to_hub_is_bitwise(checkpoint, tmp_path, variant, dtype, shard):
    folder = checkpoint(**VARIANTS[variant])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    assert type(model) is BailingMoeForCausalLM
    model.save_pretrained(tmp_path / "out", max_shard_size=shard)
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > (1 if shard == "40KB" else 0)
    original, written = read_all(folder), read_all(tmp_path / "out")
    assert written.keys() == original.keys()
    for name, tensor in original.items():
        assert torch.equal(written[name], tensor.to(dtype)), name
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=dtype)
    assert torch.equal(again(TOKENS).logits, model(TOKENS).logits)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["BailingMoeForCausalLM"]
    assert config["model_type"] == "bailing_moe"
    assert "auto_map" not in config


def test_experts_are_three_dimensional_in_memory(checkpoint):
    model = AutoModelForCausalLM.from_pretrained(checkpoint())
    experts = model.model.layers[0].mlp.experts
    assert experts.gate_up_proj.shape == (8, 48, 64)
    assert experts.down_proj.shape == (8, 64, 24)


@pytest.mark.parametrize("trust", [None, False, True])
def test_no_remote_code_is_run(checkpoint, trust):
    """The folder's Python files end the process when they are imported."""
    folder = checkpoint()
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust)
    assert type(config) is BailingMoeConfig
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=trust)
    assert type(model) is BailingMoeForCausalLM


def test_the_base_model_loads_from_the_same_folder(checkpoint):
    folder = checkpoint()
    whole, base = AutoModelForCausalLM.from_pretrained(folder), AutoModel.from_pretrained(folder)
    hidden = base(TOKENS).last_hidden_state
    torch.testing.assert_close(whole.lm_head(hidden), whole(TOKENS).logits)


def test_a_missing_tensor_is_reported(checkpoint):
    folder = checkpoint()
    _model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]


def test_hub_weights_are_views_under_hub_names(checkpoint):
    folder = checkpoint(**VARIANTS["everything"])
    model = AutoModelForCausalLM.from_pretrained(folder)
    original = load_file(folder / "model.safetensors")
    exported = dict(hub_weights(model))
    assert exported.keys() == original.keys()
    assert all(torch.equal(exported[name], original[name]) for name in original)
    name = "model.layers.2.mlp.experts.5.up_proj.weight"
    with torch.no_grad():
        model.model.layers[2].mlp.experts.gate_up_proj.zero_()
    assert exported[name].abs().sum() == 0, "a copy was exported, not a view"


def test_loading_hub_weights_names_what_does_not_fit(build):
    model = build()
    weights = dict(hub_weights(model))
    weights["model.layers.0.mlp.experts.8.up_proj.weight"] = weights.pop("model.norm.weight")
    with pytest.raises(KeyError, match=r"missing.*model\.norm\.weight.*unknown.*experts\.8"):
        load_hub_weights(model, weights)


def test_save_after_training_writes_the_trained_weights(build, tmp_path):
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model(TOKENS, labels=TOKENS).loss.backward()
    optimizer.step()
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(again(TOKENS).logits, model(TOKENS).logits)


def test_random_initialisation_follows_the_config(build):
    model = BailingMoeForCausalLM(build(initializer_range=0.006).config)
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            assert torch.equal(parameter, torch.ones_like(parameter))
        else:
            assert abs(parameter.std().item() - 0.006) < 0.001, name
