"""The plan of Ring-lite: against numbers worked out by hand and the paper's; the command line."""

import json
import xml.etree.ElementTree as ET

import pytest
from typer.testing import CliRunner

from harness.errors import UsageError
from reference_trainer.cli import app
from reference_trainer.plan.plan import cluster, plan
from reference_trainer.plan.render import render
from reference_trainer.plan.shape import recipe_shape
from reference_trainer.recipe import load_recipe

TOY_SHAPE = {
    "model_type": "bailing_moe",
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "use_bias": False,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
}


@pytest.fixture(scope="module")
def paper():
    return plan(load_recipe("ring_lite_256gpu"))


def stage_of(planned, name):
    return next(stage for stage in planned.stages if stage.name == name)


def run(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_tokens_steps_and_epochs_are_those_of_the_paper_s_settings(paper):
    stage = stage_of(paper, "c3po_math")
    assert stage.sequences == 512 * 16
    assert stage.generated == stage.trained == 512 * 16 * 12_800 == 104_857_600
    assert (stage.budget, stage.budgets, stage.scope) == (409_600, 256, "each 2 prompts")
    assert (stage.steps, stage.epochs) == (143, pytest.approx(143 * 512 / 73_000))
    second = stage_of(paper, "c3po_code_science")
    assert second.epochs == pytest.approx(35 * 512 / (14_000 + 3_833))
    distill = stage_of(paper, "distill")
    assert distill.steps == 3 * 7813  # ceil(2,000,000 / 256)
    assert distill.trained == 256 * 8000
    assert [stage.name for stage in paper.stages] == [
        "distill",
        "select",
        "curate",
        "c3po_math",
        "c3po_code_science",
        "general",
    ]


def test_hours_follow_from_the_formulas(paper):
    # By hand: 32 sequences a GPU, 5 forwards' worth (backward 2, reference, router statistics), 20 % of 989 TFLOP/s.
    shape, stage = paper.shape, stage_of(paper, "c3po_math")
    tokens, n = 32 * 13_000, 13_000
    flops = 5 * (2 * shape.multiplied * tokens + 2 * 28 * 16 * 128 * tokens * n)
    assert stage.training_seconds == pytest.approx(flops / (0.2 * 989e12))
    assert stage.hours == pytest.approx(143 * stage.step_seconds / 3600)
    assert paper.hours == pytest.approx(sum(stage.hours for stage in paper.stages))
    # One pass of a sequence on each GPU: weights over the network twice (no router pass), within the node once, float32
    # gradients over the network: 255/256 of them.
    share = 255 / 256
    moved = share * shape.total * (2 / 50e9 + 2 / 200e9 + 4 / 50e9)
    assert stage_of(paper, "distill").training_seconds == pytest.approx(moved)


def test_every_figure_of_the_paper_agrees_within_the_factor_that_is_stated(paper):
    assert {item.figure: item.agrees for item in paper.comparisons} == dict.fromkeys(
        (
            "parameters",
            "activated parameters",
            "responses a step",
            "tokens sampled a step",
            "Phi",
            "tokens trained a step",
            "tokens of one unit of Fig. 9",
            "steps",
            "GPUs",
        ),
        True,
    )
    assert all(1 <= item.within <= 1.1 and item.why for item in paper.comparisons)
    factors = {item.figure: item.factor for item in paper.comparisons}
    assert factors["tokens of one unit of Fig. 9"] == pytest.approx(20 * 104_857_600 / 2.05e9)


def test_another_reading_of_phi_is_seen_to_differ():
    other = plan(load_recipe("ring_lite", {"c3po_math.rl.objective.budget_scope": "global"}))
    differing = {item.figure: item.factor for item in other.comparisons if not item.agrees}
    assert differing == {"tokens trained a step": pytest.approx(1 / 256)}
    assert stage_of(other, "c3po_math").trained == 409_600


@pytest.mark.parametrize("name", ["ring_lite", "ring_lite_8gpu", "ring_lite_256gpu"])
def test_every_variant_fits_its_machine(name):
    planned = plan(load_recipe(name))
    for stage in planned.stages:
        assert stage.memory is None or stage.memory.fits, stage.name
        assert stage.rollout is None or stage.rollout.fits, stage.name


def test_hours_scale_with_rates_and_gpus():
    recipe = load_recipe("ring_lite")
    slow, fast = (plan(recipe, cluster(recipe, 256, rate, rate)) for rate in (1000.0, 2000.0))
    for one, two in zip(slow.stages, fast.stages, strict=True):
        overhead = one.overhead_seconds
        assert one.step_seconds - overhead == pytest.approx(2 * (two.step_seconds - overhead), rel=1e-6)
    small = plan(recipe, cluster(recipe, 128, 1000.0, 1000.0))
    assert stage_of(small, "curate").hours == pytest.approx(2 * stage_of(slow, "curate").hours, rel=1e-2)
    assert small.hours > slow.hours


def test_gpus_that_make_no_whole_engine_are_refused():
    recipe = load_recipe("ring_lite", {"rollout_engine.tensor_parallel": 4})
    with pytest.raises(UsageError, match="6 GPUs do not make whole engines of tensor_parallel 4"):
        plan(recipe, cluster(recipe, 6))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"plan.demonstrations": None}, r"plan\.demonstrations"),
        ({"plan.response_tokens": {}}, r"plan\.response_tokens\.c3po_math"),
        ({"plan.shape": "nowhere.json"}, "nowhere.json cannot be read"),
    ],
)
def test_what_a_plan_lacks_is_named(change, says):
    with pytest.raises(UsageError, match=says):
        plan(load_recipe("ring_lite", change))


def test_a_checkpoint_s_own_config_is_what_counts(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(TOY_SHAPE))
    shape = recipe_shape(load_recipe("ring_lite", {"model.path": str(tmp_path)}))
    assert (shape.layers, shape.vocabulary, shape.source) == (2, 100, str(tmp_path / "config.json"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UsageError, match="of the type 'llama'"):
        recipe_shape(load_recipe("ring_lite", {"model.path": str(tmp_path)}))


def test_the_toy_has_a_plan_too():
    planned = plan(load_recipe("toy"))
    assert planned.comparisons == []
    assert planned.shape.total < 10**7
    assert stage_of(planned, "c3po_math").generated > 0
    assert "fits" in render(planned)


def test_the_command_prints_the_plan():
    output = run("plan", "--recipe", "ring_lite", "--gpus", "256", "--sampling-rate", "2000", "--mfu", "0.3")
    for part in (
        "on 256 x H800",
        "2,000 tokens/s a GPU, as given",
        "30% of 989 TFLOP/s",
        "factor",
        "no published figure",
    ):
        assert part in output
    content = json.loads(run("plan", "--recipe", "ring_lite_8gpu", "--json"))
    assert content["machine"]["gpus"] == 8
    assert all(item["agrees"] for item in content["paper"])
    assert content["gpu_hours"] == pytest.approx(8 * content["hours"])


def test_the_recipe_s_own_flag_prints_it_too():
    assert "on 256 x H800" in run("--recipe", "ring_lite", "--plan")


@pytest.mark.parametrize("arguments", [("--mfu", "1.5"), ("--sampling-rate", "0"), ("--training-rate", "-1")])
def test_impossible_rates_are_refused(arguments):
    with pytest.raises(UsageError, match=arguments[0]):
        run("plan", *arguments)


def test_the_simulator_s_command_writes_curves_and_steps(tmp_path):
    small = ["--set", "c3po_math.rl.rollout.prompts_per_step=16", "--steps", "4", "--gpus", "8"]
    files = ["--svg", str(tmp_path / "a" / "curves.svg"), "--out", str(tmp_path / "steps.json")]
    output = run("simulate", *small, "--growth", "-0.02", "--percentiles", "10000,22000", *files)
    for part in ("GRPO", "C3PO, filled", "CoV", "not simulated"):
        assert part in output
    root = ET.parse(tmp_path / "a" / "curves.svg").getroot()
    assert len(root.findall(".//{http://www.w3.org/2000/svg}polyline")) == 4 * 3
    content = json.loads((tmp_path / "steps.json").read_text())
    assert content["inputs"] == {"recipe": "ring_lite_256gpu", "stage": "c3po_math", "steps": 4, "seed": 0, "gpus": 8}
    assert json.loads(run("simulate", *small, "--growth", "-0.02", "--percentiles", "10000,22000", "--json")) == content


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--stage", "c3po_maths"), "did you mean 'c3po_math'"),
        (("--percentiles", "5"), "two numbers"),
        (("--mean", "30000"), "must lie between 1 and the limit 24576"),
        (("--lengths", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
    ],
)
def test_what_the_simulator_cannot_do_is_said(arguments, says):
    with pytest.raises(UsageError, match=says):
        run("simulate", *arguments)
