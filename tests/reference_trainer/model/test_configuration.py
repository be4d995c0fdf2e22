"""The keys of the hub's config.json: read, written back, or refused by name."""

import pytest
import torch
from transformers import AutoConfig

from harness.errors import UsageError
from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM, count_parameters
from tests.reference_trainer.model.shapes import VARIANTS, hub_config

# inclusionAI/Ling-lite-1.5: the shape that the paper states.
LING_LITE = {
    "vocab_size": 126464,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 64,
    "num_experts_per_tok": 6,
    "num_shared_experts": 2,
    "moe_intermediate_size": 1408,
    "norm_topk_prob": True,
    "norm_head": True,
    "use_bias": False,
    "use_qkv_bias": False,
    "rope_theta": 600000,
    "tie_word_embeddings": False,
}


def test_ling_lite_has_16_8_billion_parameters_and_2_75_billion_activated():
    total, activated = count_parameters(BailingMoeConfig(**LING_LITE))
    assert (round(total / 1e9, 1), round(activated / 1e9, 2)) == (16.8, 2.75)


@pytest.mark.parametrize("variant", VARIANTS)
def test_counts_are_those_of_the_built_model(build, variant):
    model = build(**VARIANTS[variant])
    total, activated = count_parameters(model.config)
    assert total == sum(p.numel() for p in model.parameters())
    moe = [layer.mlp for layer in model.model.layers if hasattr(layer.mlp, "experts")]
    idle = model.config.num_experts - model.config.num_experts_per_tok
    assert total - activated == len(moe) * idle * 3 * 64 * 24


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_config_survives_the_disk(tmp_path, variant):
    config = BailingMoeConfig(**hub_config(**VARIANTS[variant]))
    config.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert {**again.to_dict(), "_name_or_path": ""} == config.to_dict()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_hubs_own_keys_are_written_back(variant):
    """vLLM and the authors' code read these names; an unused window may become null."""
    c = hub_config(**VARIANTS[variant])
    written = BailingMoeConfig(**c).to_dict()
    gone = {"auto_map", "torch_dtype", "transformers_version", "sliding_window", "rope_scaling"}
    assert {key: written[key] for key in c if key not in gone} == {k: v for k, v in c.items() if k not in gone}
    scaling = c["rope_scaling"]
    assert written["rope_scaling"] is None if scaling is None else scaling.items() <= written["rope_scaling"].items()


def test_defaults_are_the_authors():
    config = BailingMoeConfig(moe_intermediate_size=512)
    assert config.use_bias
    assert not config.norm_head
    assert (config.rope_theta, config.rms_norm_eps, config.max_position_embeddings) == (1e4, 1e-5, 16384)
    assert (config.head_dim, config.num_key_value_heads) == (64, 16)


REFUSED = [
    ({"use_qk_norm": True}, "use_qk_norm"),
    ({"score_function": "sigmoid"}, "score_function"),
    ({"moe_router_enable_expert_bias": True}, "moe_router_enable_expert_bias"),
    ({"routed_scaling_factor": 2.5}, "routed_scaling_factor"),
    ({"n_group": 8, "topk_group": 4}, "n_group"),
    ({"num_nextn_predict_layers": 1}, "num_nextn_predict_layers"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ({"multi_gate": True}, "multi_gate"),
    ({"norm_softmax": True}, "norm_softmax"),
    ({"architectures": ["BailingMoeV2ForCausalLM"]}, "BailingMoeV2ForCausalLM"),
    ({"use_sliding_window": True, "sliding_window": 128}, "use_sliding_window"),
    ({"rope_scaling": {"type": "llama3", "factor": 8.0}}, "llama3"),
    ({"rope_scaling": {"type": "linear"}}, "factor"),
    ({"num_key_value_heads": 3}, "num_key_value_heads"),
    ({"head_dim": 15}, "head_dim"),
    ({"moe_intermediate_size": None}, "moe_intermediate_size"),
    ({"intermediate_size": None, "first_k_dense_replace": 1}, "intermediate_size"),
    ({"num_experts_per_tok": 9}, "num_experts_per_tok"),
    ({"num_experts_per_tok": 0}, "num_experts_per_tok"),
]


@pytest.mark.parametrize(("changes", "named"), REFUSED)
def test_what_the_model_does_not_have_is_refused_by_name(changes, named):
    with pytest.raises(UsageError, match=named):
        BailingMoeConfig(**hub_config(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"use_qk_norm": False, "score_function": "softmax", "routed_scaling_factor": 1.0, "n_group": 1},
        {"use_sliding_window": True, "sliding_window": 512},
        {"rope_scaling": {"rope_type": "default"}},
        {"num_experts": None, "moe_intermediate_size": None},
        {"intermediate_size": None},
        {"num_key_value_heads": 0},
        {"head_dim": None},
    ],
)
def test_neutral_values_are_accepted(changes):
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.isfinite(BailingMoeForCausalLM(BailingMoeConfig(**hub_config(**changes)))(tokens).logits).all()
