"""The switches: defaults as specified, unknown keys refused with the nearest name, contradictions refused."""

import pytest

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig, OptimizerConfig, RLConfig, RolloutConfig


def test_defaults_are_those_of_the_paper_and_the_specification():
    objective, rollout, optimizer = ObjectiveConfig(), RolloutConfig(), OptimizerConfig()
    assert (objective.token_budget, objective.clip_low, objective.clip_high) == (409_600, 0.2, 0.2)
    assert (objective.kl_coefficient, objective.entropy_coefficient) == (1e-3, 5e-4)
    assert (objective.balance_coefficient, objective.z_coefficient) == (1e-5, 1e-7)
    assert (rollout.prompts_per_step, rollout.responses_per_prompt, rollout.temperature) == (512, 16, 1.0)
    assert (optimizer.learning_rate, optimizer.schedule, optimizer.updates_per_rollout) == (3e-6, "constant", 1)
    assert (objective.budget_scope, objective.fill_order, objective.last_response) == ("global", "batch", "truncate")
    assert (objective.under_fill, objective.zero_variance, objective.advantage_std) == (
        "divide_phi",
        "keep",
        "unbiased",
    )
    assert (objective.entropy_sign, objective.kl_estimator, objective.reference_policy) == (
        "bonus",
        "k3",
        "stage_start",
    )
    assert (objective.balance_form, objective.expert_load, objective.router_tokens) == ("switch", "fraction", "all")
    assert objective.importance_sampling == "none"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"token_budgt": 5}, r"toy.yaml: unknown setting 'token_budgt'; did you mean 'token_budget'\?"),
        ({"zzzz": 5}, r"toy.yaml: unknown setting 'zzzz'; known settings: advantage_std, balance_coefficient"),
        ({"token_budget": 0}, r"toy.yaml: token_budget = 0: .*greater than or equal to 1"),
        ({"kl_estimator": "k4"}, r"toy.yaml: kl_estimator = 'k4': .*'k1', 'k2' or 'k3'"),
        ({"under_fill": "resample", "budget_scope": "rank"}, "toy.yaml: under_fill 'resample' needs budget_scope"),
        ({"under_fill": "resample", "token_budget": None}, "toy.yaml: under_fill 'resample' needs a token_budget"),
        ({"loss": "sft"}, "toy.yaml: loss 'sft' has no KL and no entropy term"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(values, message):
    with pytest.raises(UsageError, match=message):
        ObjectiveConfig.read(values, "toy.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": {"clip_hihg": 0.2}}, r"unknown setting 'objective.clip_hihg'; did you mean 'clip_high'\?"),
        ({"optimizer": {"schedule": "cosine"}}, "schedule 'cosine' needs total_steps"),
        ({"optimizer": {"updates_per_rollout": 9}, "rollout": {"prompts_per_step": 4}}, "exceeds prompts_per_step"),
    ],
)
def test_bad_settings_of_a_section_name_the_section(values, message):
    with pytest.raises(UsageError, match=message):
        RLConfig.read(values, "toy.yaml")


def test_a_good_table_is_read():
    config = RLConfig.read({"objective": {"token_budget": None}, "seed": 3}, "toy.yaml")
    assert (config.seed, config.objective.token_budget) == (3, None)
