"""Recipes that extend recipes; the shipped ones of Ring-lite."""

import pytest

from harness.errors import UsageError
from reference_trainer.engine.settings import deepspeed_config
from reference_trainer.recipe import load_recipe
from reference_trainer.recipe_file import merged

VARIANTS = ("ring_lite", "ring_lite_8gpu", "ring_lite_256gpu")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_paper_s_settings_are_in_every_variant(name):
    recipe = load_recipe(name)
    assert recipe.model.path == "inclusionAI/Ling-lite-1.5"
    assert (recipe.data.sft, recipe.data.rl) == ("inclusionAI/Ring-lite-sft-data", "inclusionAI/Ring-lite-rl-data")
    distill = recipe.distill
    assert (distill.batch_sequences, distill.epochs, distill.max_tokens) == (256, 3, 32_768)
    assert (distill.schedule, distill.warmup_share, distill.optimizer.learning_rate) == ("cosine", 0.01, 3e-4)
    assert distill.optimizer.weight_decay == 0.1
    assert (distill.objective.balance_coefficient, distill.objective.z_coefficient) == (1e-5, 1e-7)
    assert (recipe.select.low, recipe.select.high, recipe.select.by) == (0.3, 0.5, "entropy")
    for stage, context in ((recipe.c3po_math, 24_576), (recipe.c3po_code_science, 32_768)):
        rollout, objective = stage.rl.rollout, stage.rl.objective
        assert (rollout.prompts_per_step, rollout.responses_per_prompt, rollout.temperature) == (512, 16, 1.0)
        assert rollout.max_new_tokens == context
        assert (objective.loss, objective.token_budget, objective.mini_batch_prompts) == ("c3po", 409_600, 2)
        assert (objective.clip_low, objective.clip_high) == (0.2, 0.2)
        assert (objective.kl_coefficient, objective.entropy_coefficient) == (1e-3, 5e-4)
        assert (objective.balance_coefficient, objective.z_coefficient) == (1e-5, 1e-7)
        assert (stage.rl.optimizer.learning_rate, stage.rl.optimizer.schedule) == (3e-6, "constant")
    assert recipe.c3po_math.domains == ("math",)
    assert recipe.c3po_code_science.domains == ("code", "science")


def test_variants_differ_in_machine_settings_alone():
    recipes = [load_recipe(name) for name in VARIANTS]
    machine = {"name", "engine", "rollout_engine", "plan"}
    same = [recipe.model_dump(exclude=machine) for recipe in recipes]
    assert same[0] == same[1] == same[2]
    assert len({recipe.engine.model_dump_json() for recipe in recipes}) == 3
    assert [recipe.plan.gpus for recipe in recipes] == [256, 8, 256]


def test_deepspeed_takes_the_variants_settings():
    large = load_recipe("ring_lite_256gpu")
    zero = deepspeed_config(large.engine, large.c3po_math.rl.optimizer)["zero_optimization"]
    assert (zero["stage"], zero["zero_hpz_partition_size"]) == (3, 8)
    small = load_recipe("ring_lite_8gpu")
    zero = deepspeed_config(small.engine, small.c3po_math.rl.optimizer)["zero_optimization"]
    assert (zero["stage"], zero["offload_optimizer"]["device"]) == (3, "cpu")


def test_tables_are_merged_and_everything_else_is_replaced():
    base = {"a": {"x": 1, "y": {"z": 1}}, "list": [1, 2], "gone": {"x": 1}}
    over = {"a": {"y": {"w": 2}}, "list": [3], "gone": None, "new": 4}
    assert merged(base, over) == {"a": {"x": 1, "y": {"z": 1, "w": 2}}, "list": [3], "gone": None, "new": 4}
    assert base["a"] == {"x": 1, "y": {"z": 1}}


@pytest.mark.parametrize("name", ["toy", "ring_lite"])
def test_a_change_of_one_stage_leaves_the_other_alone_that_shares_an_anchor(name):
    before = load_recipe(name)
    after = load_recipe(name, {"c3po_math.rl.objective.token_budget": 77, "c3po_math.rl.optimizer.learning_rate": 0.5})
    assert after.c3po_math.rl.objective.token_budget == 77
    assert after.c3po_code_science == before.c3po_code_science


def test_a_file_extends_a_shipped_recipe_or_a_file_beside_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: toy\nname: mine\nseed: 7\n")
    (tmp_path / "theirs.yaml").write_text("extends: mine.yaml\nname: theirs\nc3po_math: {steps: 3}\n")
    recipe, toy = load_recipe(str(tmp_path / "theirs.yaml")), load_recipe("toy")
    assert (recipe.name, recipe.seed, recipe.c3po_math.steps) == ("theirs", 7, 3)
    assert recipe.c3po_math.rl == toy.c3po_math.rl


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("extends: mine.yaml\n", "extends itself"),
        ("extends: rign_lite\n", "no recipe 'rign_lite'; did you mean"),
        ("extends: [toy]\n", r"extends takes one name or path, not \['toy'\]"),
        ("- toy\n", "holds no settings"),
        ("a: [\n", "cannot be read"),
        ("extends: toy\nsede: 1\n", "unknown setting 'sede'; did you mean 'seed'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, says):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=says):
        load_recipe(str(path))
