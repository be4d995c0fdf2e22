"""One iteration from prompts to weights, with the real model and rollout engine."""

import copy
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import CheckFailed, UsageError
from reference_trainer.config import ObjectiveConfig
from reference_trainer.model import load_hub_weights
from reference_trainer.objective import group_advantages
from reference_trainer.rollout import Rollout, TransformersEngine
from reference_trainer.step import Experience, RLTrainer, select_from, update_batch
from reference_trainer.stream import Prompt


class Recorder:
    """Keeps what reaches the engine's updates."""

    def __init__(self, trainer: RLTrainer):
        self.batches, self.inner = [], trainer.engine.update
        trainer.engine.update = self

    def __call__(self, batch):
        self.batches.append(batch)
        return self.inner(batch)


def made(lengths: list[list[int]], rewards: list[list[float]]) -> Experience:
    prompts = [Prompt(str(i), (1,)) for i in range(len(lengths))]
    rollouts = [Rollout(torch.tensor([1]), torch.arange(n), torch.zeros(n), True, 0) for row in lengths for n in row]
    return Experience(prompts, rollouts, torch.tensor(rewards, dtype=torch.float64))


EXPERIENCES = st.tuples(st.integers(1, 4), st.integers(2, 4)).flatmap(
    lambda shape: st.builds(
        made,
        *(
            st.lists(st.lists(values, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])
            for values in (st.integers(1, 12), st.sampled_from([0.0, 1.0]))
        ),
    )
)


@given(EXPERIENCES, st.integers(1, 60), st.sampled_from(["batch", "shuffled_groups", "shuffled_responses"]))
def test_advantages_are_independent_of_the_cut(experience, budget, order):
    advantages = group_advantages(experience.rewards).flatten()
    part = torch.arange(len(experience.rollouts))
    objective = ObjectiveConfig(token_budget=budget, fill_order=order)
    selection = select_from(experience, part, objective, ranks=1, generator=torch.Generator().manual_seed(0))
    batch = update_batch(experience, advantages, selection, part)
    kept = [i for i, k in enumerate(selection.kept.tolist()) if k]
    assert batch.advantages.equal(advantages[kept])
    assert batch.tokens == sum(map(len, batch.responses)) == min(budget, int(experience.lengths.sum()))
    for i, response in zip(kept, batch.responses, strict=True):
        assert response.equal(experience.rollouts[i].response[: len(response)])


@given(EXPERIENCES, st.integers(1, 60))
def test_dropping_zero_variance_groups_fills_the_budget_with_the_others(experience, budget):
    part = torch.arange(len(experience.rollouts))
    objective = ObjectiveConfig(token_budget=budget, zero_variance="drop")
    kept = select_from(experience, part, objective, ranks=1, generator=torch.Generator()).kept
    constant = (experience.rewards == experience.rewards[:, :1]).all(1).repeat_interleave(experience.rewards.shape[1])
    assert (kept[constant] == 0).all()
    assert int(kept.sum()) == min(budget, int(experience.lengths[~constant].sum()))


@given(EXPERIENCES, st.integers(1, 20), st.integers(1, 3))
def test_scopes_share_the_groups_among_their_units(experience, budget, ranks):
    part, responses = torch.arange(len(experience.rollouts)), experience.rewards.shape[1]
    groups = len(experience.prompts)
    for scope, units in (("global", 1), ("rank", min(ranks, groups)), ("mini_batch", math.ceil(groups / 2))):
        objective = ObjectiveConfig(token_budget=budget, budget_scope=scope)
        selection = select_from(experience, part, objective, ranks=ranks, generator=torch.Generator())
        assert selection.divisor == budget * units
        assert responses * groups == len(selection.kept)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40))
def test_every_step_trains_exactly_phi_tokens_while_enough_are_sampled(trainer, budget):
    stage = trainer(objective={"token_budget": budget})
    for _ in range(2):
        metrics, _ = stage.step()
        assert metrics["tokens_generated"] >= budget
        assert metrics["tokens_trained"] == budget
        assert metrics["budget_fill"] == 1


def test_grpo_trains_every_token_whatever_the_budget(trainer):
    metrics, _ = trainer(objective={"loss": "grpo", "token_budget": 3}).step()
    assert metrics["tokens_trained"] == metrics["tokens_generated"]


def test_every_metric_of_a_step_is_there_and_finite(trainer):
    stage = trainer()
    stage.step()
    metrics, timings = stage.step()
    wanted = {
        "reward", "entropy", "kl", "clip_share", "gradient_norm", "budget_fill", "tokens_trained", "response_length",
        "truncated_share", "zero_variance_share", "expert_load", "expert_imbalance", "router_entropy",
        "logprob_mismatch", "loss", "policy_loss", "balance_loss", "z_loss", "learning_rate", "tokens_generated",
    }  # fmt: skip
    assert wanted <= metrics.keys()
    for name in wanted - {"expert_load"}:
        assert math.isfinite(metrics[name]), name
    assert metrics["logprob_mismatch"] < 2e-5  # sampler and trainer are the same float32 model
    assert metrics["kl"] > 0
    assert timings["tokens_per_second"] > 0
    assert not any("second" in name for name in metrics)


def test_same_seed_same_metrics_and_another_seed_others(trainer):
    def run(stage):
        return [stage.step()[0] for _ in range(3)]

    first = run(trainer())
    assert run(trainer()) == first
    other = trainer()
    other.config = other.config.model_copy(update={"seed": 6})
    assert run(other) != first


def test_responses_learn_the_reward(trainer):
    """The whole loop moves the policy where the verifier points: answers end with token 7."""

    def seven(prompts, rollouts):
        return [float(7 in rollout.response) for rollout in rollouts]

    stage = trainer(seven, rollout={"max_new_tokens": 4, "responses_per_prompt": 16})
    rewards = [stage.step()[0]["reward"] for _ in range(25)]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:3]) / 3 + 0.4


def test_several_updates_share_a_rollout_with_a_budget_each(trainer):
    stage = trainer(optimizer={"updates_per_rollout": 2}, objective={"token_budget": 20})
    recorder = Recorder(stage)
    metrics, _ = stage.step()
    assert [batch.tokens for batch in recorder.batches] == [20, 20]
    assert metrics["tokens_trained"] == 40
    assert all(batch.old_logprobs is not None for batch in recorder.batches)
    assert stage.engine.updates == 2


def test_an_underfilled_budget_can_be_resampled_or_refused(trainer):
    stage = trainer(objective={"token_budget": 400, "under_fill": "resample"})
    metrics, _ = stage.step()
    assert metrics["tokens_trained"] == 400
    assert metrics["tokens_generated"] > 4 * 4 * 12
    assert stage.stream.epoch > 0
    with pytest.raises(
        CheckFailed, match=r"step 1: 2 extra rounds of 4 prompts filled only .* of the token_budget of 9000"
    ):
        trainer(objective={"token_budget": 9000, "under_fill": "resample", "resample_rounds": 2}).step()
    with pytest.raises(UsageError, match="do not fill a token_budget of 400"):
        trainer(objective={"token_budget": 400, "under_fill": "error"}).step()


def test_resampled_prompts_get_responses_of_their_own(trainer):
    """Ten prompts, so a step that needs more draws some of them twice."""
    seen = []

    def reward(prompts, rollouts):
        seen.extend((prompt.id, rollout.seed) for prompt, rollout in zip(prompts, rollouts, strict=True))
        return [0.0] * len(rollouts)

    trainer(reward, objective={"token_budget": 600, "under_fill": "resample"}).step()
    assert len({name for name, _ in seen}) == 10
    assert len(set(seen)) == len(seen)


def test_all_groups_dropped_changes_no_weight(trainer):
    stage = trainer(lambda prompts, rollouts: [1.0] * len(rollouts), objective={"zero_variance": "drop"})
    before = {name: value.clone() for name, value in stage.engine.scorer.state_dict().items()}
    metrics, _ = stage.step()
    assert metrics["tokens_trained"] == 0
    assert metrics["zero_variance_share"] == 1
    assert all(value.equal(before[name]) for name, value in stage.engine.scorer.state_dict().items())


def test_the_verifier_sees_whole_responses_and_must_answer_for_each(trainer):
    lengths = []

    def reward(prompts, rollouts):
        lengths.extend(rollout.length for rollout in rollouts)
        return [0.0] * (len(rollouts) - 1)

    stage = trainer(reward, objective={"token_budget": 1})
    with pytest.raises(UsageError, match="15 rewards for 16 responses"):
        stage.step()
    assert len(lengths) == 16
    assert max(lengths) > 1


def test_an_engine_of_another_objective_is_refused(trainer):
    stage = trainer()
    config = stage.config.model_copy(update={"objective": ObjectiveConfig()})
    with pytest.raises(UsageError, match="another objective"):
        RLTrainer(stage.engine, stage.sampler, stage.stream, stage.reward, config)


class Copying(TransformersEngine):
    """A rollout engine with weights of its own, as one in another process has."""

    def update_weights(self, weights):
        load_hub_weights(self.model, {name: value.clone() for name, value in weights})


def test_a_sampler_with_its_own_weights_follows_the_policy(trainer, model):
    shared, apart = trainer(), trainer()
    apart.sampler = Copying(model(seed=9, dtype=torch.float32), 0, max_rows=64)
    for _ in range(3):
        assert apart.step()[0] == shared.step()[0]
    state = apart.state_dict()
    resumed = trainer()
    resumed.sampler = Copying(model(seed=9, dtype=torch.float32), 0, max_rows=64)
    resumed.load_state_dict(copy.deepcopy(state))
    assert resumed.step()[0] == shared.step()[0]


def test_a_dropped_last_response_does_not_count_as_too_few_tokens(trainer):
    stage = trainer(objective={"token_budget": 60, "under_fill": "resample", "last_response": "drop"})
    metrics, _ = stage.step()
    assert metrics["budget_fill"] < 1
    assert metrics["tokens_generated"] >= 60
    assert stage.stream.position == 4


def test_a_state_of_other_settings_or_another_model_is_refused(trainer):
    state = trainer().state_dict()
    with pytest.raises(UsageError, match="the checkpoint, objective was made with token_budget 60, not 61"):
        trainer(objective={"token_budget": 61}).load_state_dict(state)
    stage = trainer()
    del state["engine"]["model"]["lm_head.weight"]
    with pytest.raises(UsageError, match=r"of another model .*lm_head.weight"):
        stage.load_state_dict(state)
