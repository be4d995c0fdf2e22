"""Simulated steps of C3PO and GRPO."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.plan.lengths import Lognormal, Trajectory
from reference_trainer.plan.plan import cluster
from reference_trainer.plan.simulate import kept_tokens, make_cluster, objectives, simulate, to_json
from reference_trainer.recipe import load_recipe

SMALL = {
    "c3po_math.rl.rollout.prompts_per_step": 16,
    "c3po_math.rl.rollout.responses_per_prompt": 4,
    "c3po_math.rl.objective.token_budget": 2 * 4 * 12_800,
}


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("ring_lite", SMALL)


def runs_of(recipe, law, steps=12, seed=0, gpus=8, **measured):
    stage = recipe.c3po_math
    machine = make_cluster(recipe, stage, "c3po_math", cluster(recipe, gpus, **measured))
    return simulate(machine, stage, Trajectory(law, steps, seed), steps, objectives(stage, gpus))


def law(mean=12_800, **more):
    return Lognormal(mean, 0.8, 24_576, **more)


def covs(runs, figure):
    return {run["name"]: run[figure]["cov"] for run in (run.summary() for run in runs)}


@settings(max_examples=5)
@given(st.integers(0, 1000), st.floats(8000, 18_000), st.floats(-0.03, 0.03), st.floats(0, 0.3))
def test_filled_c3po_trains_the_same_number_of_tokens_in_every_step(recipe, seed, mean, growth, drift):
    grpo, c3po, filled = runs_of(recipe, law(mean, growth=growth, drift=drift), 3, seed)
    budget = 8 * SMALL["c3po_math.rl.objective.token_budget"]
    assert {step.trained for step in filled.steps} == {budget}
    assert all(step.fill == 1 for step in filled.steps)
    for plain, cut in zip(grpo.steps, c3po.steps, strict=True):
        assert plain.trained == plain.sampled == cut.sampled, "GRPO trains on everything, on the same lengths"
        assert cut.trained <= min(budget, cut.sampled)
        assert cut.fill == cut.trained / budget


def test_a_budget_below_what_is_sampled_is_always_full():
    recipe = load_recipe("ring_lite", {**SMALL, "c3po_math.rl.objective.token_budget": 40_000})
    _, c3po, _ = runs_of(recipe, law(drift=0.1))
    assert {step.trained for step in c3po.steps} == {8 * 40_000}


def test_throughput_of_grpo_follows_the_lengths_and_that_of_c3po_stays(recipe):
    falling = runs_of(recipe, law(growth=-0.04), 20)
    trained = {run.name: run.summary()["trained"]["end_over_start"] for run in falling}
    throughput = {run.name: run.summary()["throughput"]["end_over_start"] for run in falling}
    assert trained["GRPO"] < 0.7
    assert trained["C3PO, filled"] == 1
    assert throughput["GRPO"] < throughput["C3PO"]
    assert throughput["GRPO"] < 0.9 < throughput["C3PO, filled"]
    wandering = runs_of(recipe, law(drift=0.2), 30)
    assert covs(wandering, "trained")["GRPO"] > covs(wandering, "trained")["C3PO"] > 0
    assert covs(wandering, "throughput")["GRPO"] > covs(wandering, "throughput")["C3PO"]


def test_seeds_repeat(recipe):
    first, second, other = (runs_of(recipe, law(drift=0.1), 3, seed) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_more_gpus_are_never_slower_but_for_their_network(recipe):
    times = []
    for gpus in (2, 4, 8):
        grpo, *_ = runs_of(recipe, law(), 3, gpus=gpus, training_rate=10_000.0)
        times.append([(step.rollout_seconds, step.training_seconds) for step in grpo.steps])
    few, some, many = np.array(times)
    assert (few >= some).all()
    assert (some >= many).all()


def test_measured_rates_take_the_place_of_the_data_sheet(recipe):
    slow, fast = (runs_of(recipe, law(), 2, sampling_rate=rate, training_rate=1000.0) for rate in (100.0, 200.0))
    for one, two in zip(slow[0].steps, fast[0].steps, strict=True):
        assert one.rollout_seconds == pytest.approx(2 * two.rollout_seconds)
    step = slow[0].steps[0]
    prompts = 64 * recipe.plan.prompt_tokens
    assert step.training_seconds >= (step.sampled + prompts) / 8 / 1000, "the slowest of 8 ranks has the mean or more"


def test_the_trainer_s_own_rule_decides_which_tokens_are_kept(recipe):
    objective = recipe.c3po_math.rl.objective.model_copy(update={"token_budget": 10})
    lengths = np.array([[4, 4], [4, 4], [9, 9]])
    (kept,), budget = kept_tokens(lengths, objective, updates=1, ranks=2)
    assert kept.tolist() == [4, 4, 2, 0, 9, 1]  # 2 prompts a mini-batch: 10 tokens of the first two, 10 of the third
    assert budget == 20
    (kept,), budget = kept_tokens(lengths, objective.model_copy(update={"budget_scope": "global"}), 1, 2)
    assert (kept.tolist(), budget) == ([4, 4, 2, 0, 0, 0], 10)
    parts, budget = kept_tokens(lengths, objective.model_copy(update={"budget_scope": "rank"}), 1, 3)
    assert (parts[0].tolist(), budget) == ([4, 4, 4, 4, 9, 1], 30)
    parts, _ = kept_tokens(lengths, objective.model_copy(update={"loss": "grpo"}), updates=3, ranks=1)
    assert [part.tolist() for part in parts] == [[4, 4], [4, 4], [9, 9]]


def test_a_stage_without_a_budget_is_refused(recipe):
    stage = load_recipe("ring_lite", {"c3po_math.rl.objective.token_budget": None}).c3po_math
    with pytest.raises(UsageError, match="needs loss c3po and a token_budget"):
        objectives(stage, 8)


def test_json_holds_every_step(recipe):
    runs = runs_of(recipe, law(), 3)
    content = to_json(runs, ["because"], {"seed": 0})
    assert [len(steps) for steps in content["steps"].values()] == [3, 3, 3]
    step = content["steps"]["GRPO"][0]
    seconds = step["rollout_seconds"] + step["training_seconds"] + step["overhead_seconds"]
    assert step["throughput"] == pytest.approx(step["trained"] / seconds)
    assert content["summary"][0]["trained"]["mean"] == pytest.approx(
        np.mean([step["trained"] for step in content["steps"]["GRPO"]])
    )
