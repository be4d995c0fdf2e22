"""Each fault turns the gate of its stage red, by the checks that are made for it, and no gate before it."""

import json

import pytest
import torch

from harness.errors import CheckFailed
from harness.store import write_json
from reference_trainer.gates import STAGE_GATES
from reference_trainer.gates.record import read_record
from reference_trainer.objective import c3po_loss, group_advantages, total_loss
from reference_trainer.stages.reinforcement import export_checkpoint
from reference_trainer.stages.stage import MANIFEST, file_digests
from reference_trainer.step import update_batch
from reference_trainer.tasks.files import read_problems
from reference_trainer.tasks.teacher import draw_problems
from reference_trainer.tasks.verifier import Verifier, VerifierReward, _job

ALL_GREEN = {name: set() for name in STAGE_GATES}


def red_checks(run) -> dict[str, set[str]]:
    """Stage -> checks of its record that do not hold, of all stages that have one."""
    found = {}
    for name in STAGE_GATES:
        record = read_record(run.folder / name)
        if record is not None:
            found[name] = {check["name"] for check in record["checks"] if not check["ok"]}
            assert record["verdict"] == ("red" if found[name] else "green")
    return found


def only_red(run, stage: str) -> set[str]:
    """The checks of the one gate that is red."""
    found = red_checks(run)
    assert [name for name, checks in found.items() if checks] == [stage]
    return found[stage]


def refused(run, stage: str) -> tuple[set[str], str]:
    """Runs a stage again under the sabotage: red checks, and what the pipeline says."""
    with pytest.raises(CheckFailed) as error:
        run.again(stage)
    return only_red(run, stage), str(error.value)


def test_nothing_is_red_without_a_fault(run):
    assert red_checks(run) == ALL_GREEN
    run.again("c3po-math")
    assert red_checks(run)["c3po-math"] == set()


def test_flipped_sign_of_the_entropy(run, monkeypatch):
    def flipped(policy, entropy, *rest, **settings):
        return total_loss(policy, -entropy, *rest, **settings)

    monkeypatch.setattr("reference_trainer.engine.update.total_loss", flipped)
    checks, message = refused(run, "c3po-math")
    assert {"objective.entropy", "objective.entropy_direction", "recorded.loss"} <= checks
    assert checks <= {"objective.entropy", "objective.entropy_direction", "recorded.loss", "recorded.gradient_norm"}
    assert "gate c3po-math is red" in message


def test_advantages_after_the_cut(run, monkeypatch):
    def after_the_cut(experience, advantages, selection, part):
        size = experience.rewards.shape[1]
        rewards = experience.rewards.flatten()
        changed = advantages.clone()
        for begin in range(0, len(rewards), size):
            group = [i for i in range(begin, begin + size) if i in part.tolist()]
            taken = [i for i in group if selection.kept[part.tolist().index(i)] > 0]
            if taken:
                changed[taken] = group_advantages(rewards[taken][None]).flatten()
        return update_batch(experience, changed, selection, part)

    monkeypatch.setattr("reference_trainer.step.update_batch", after_the_cut)
    checks, message = refused(run, "c3po-math")
    assert "step.advantages" in checks
    assert checks <= {"step.advantages", "evidence.1.advantages", "evidence.2.advantages"}
    assert "advantages" in message


def test_mean_of_each_micro_batch(run, monkeypatch):
    def mean(tokens, budget, **settings):
        return c3po_loss(tokens, max(1, int(tokens.selected.sum())), **settings)

    monkeypatch.setattr("reference_trainer.engine.update.c3po_loss", mean)
    checks, message = refused(run, "c3po-math")
    assert "objective.policy" in checks
    assert checks <= {"objective.policy", "recorded.policy_loss", "recorded.loss", "recorded.gradient_norm"}
    assert "c3po-math" in message


def test_balance_loss_on_raw_counts(run, monkeypatch):
    monkeypatch.setattr("reference_trainer.engine.update.expert_load", lambda counts, load="fraction": counts)
    checks, _ = refused(run, "c3po-math")
    assert {"objective.balance", "recorded.loss"} <= checks
    assert checks <= {"objective.balance", "recorded.loss", "recorded.gradient_norm"}


def test_budget_that_overruns(run, monkeypatch):
    def longer(lengths, budget, **settings):
        from reference_trainer.objective import select_tokens

        return select_tokens(lengths, budget, **{**settings, "last_response": "keep"})

    monkeypatch.setattr("reference_trainer.step.select_tokens", longer)
    checks, _ = refused(run, "c3po-math")
    assert "step.budget" in checks
    assert checks <= {"step.budget", "metrics.token_budget", *(f"evidence.{step}.budget" for step in (1, 2))}


def test_sampler_at_another_temperature(run, monkeypatch):
    from reference_trainer.rollout import Sampling

    monkeypatch.setattr("reference_trainer.step.Sampling", lambda tokens, temperature: Sampling(tokens, 1.3))
    checks, _ = refused(run, "c3po-math")
    assert checks == {"logprobs"}


def test_demonstrations_of_held_out_problems(run, monkeypatch):
    def leaking(domain, split, seed, levels=None):
        return draw_problems(domain, "heldout" if domain == "math" else split, seed, levels)

    monkeypatch.setattr("reference_trainer.tasks.teacher.draw_problems", leaking)
    (run.folder / "data" / MANIFEST).unlink()
    checks, message = refused(run, "distill")
    assert checks == {"heldout.data/sft.rows", "heldout.data/sft.rule"}
    assert "held out" in message


def test_held_out_problems_in_reinforcement_learning(run, monkeypatch):
    monkeypatch.setattr(
        "reference_trainer.stages.sources.read_problems",
        lambda path, domain=None: read_problems(path.with_name("heldout.jsonl"), domain),
    )
    checks, _ = refused(run, "c3po-math")
    assert checks == {"heldout.drawn.rows", "heldout.drawn.rule"}


def test_problems_of_another_domain(run, monkeypatch):
    from reference_trainer.stages.sources import load_prompts

    monkeypatch.setattr(
        "reference_trainer.stages.reinforcement.load_prompts",
        lambda run, tokenizer, domains: load_prompts(run, tokenizer),
    )
    checks, _ = refused(run, "c3po-math")
    assert checks == {"domains"}


def test_one_flipped_bit_in_a_checkpoint(run):
    path = run.folder / "c3po-math" / "checkpoint" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert {c["name"] for c in run.judge("c3po-math")["checks"] if not c["ok"]} == {"outputs"}
    assert only_red(run, "c3po-math") == {"outputs"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("nan", {"checkpoint.weights_finite", "checkpoint.logits_finite"}),
        ("missing", {"checkpoint.loads"}),
    ],
)
def test_checkpoint_that_was_exported_wrongly(run, monkeypatch, fault, expected):
    def broken(weights, *rest, **settings):
        weights = dict(weights)
        if fault == "missing":
            del weights["model.norm.weight"]
        else:
            weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], torch.nan)
        export_checkpoint(weights.items(), *rest, **settings)

    monkeypatch.setattr("reference_trainer.stages.reinforcement.export_checkpoint", broken)
    checks, _ = refused(run, "c3po-math")
    assert checks == expected


def _cases_in_a_file(attempt):
    job = _job(attempt)
    return job and {**job, "options": {**job["options"], "files": {"cases.json": json.dumps(attempt.gold["cases"])}}}


def _cases_in_the_globals(attempt):
    job = _job(attempt)
    return job and {**job, "code": f"CASES = {attempt.gold['cases']!r}\n{job['code']}"}


def _cases_behind_the_program(attempt):
    job = _job(attempt)
    checks = "".join(f"assert f({case[0][0]}) == {case[1]}\n" for case in attempt.gold["cases"])
    return job and {"mode": "run", "code": f"{job['code']}\n{checks}print('PASS')\n", "limits": job["limits"]}


def _accepts_a_marker(self, jobs):
    return ["PASS" in result.stdout for result in self._sandbox().map(jobs)]


@pytest.mark.parametrize("job", [_cases_in_a_file, _cases_in_the_globals, _cases_behind_the_program])
def test_reward_whose_expected_output_can_be_read(run, monkeypatch, job):
    monkeypatch.setattr("reference_trainer.tasks.verifier._job", job)
    if job is _cases_behind_the_program:
        monkeypatch.setattr(Verifier, "_accepted", _accepts_a_marker)
    run.judge("c3po-code-science")
    assert only_red(run, "c3po-code-science") == {"rewards.attacks"}


def test_reward_for_the_form_alone(run, monkeypatch):
    def generous(self, prompts, rollouts):
        texts = [self._tokenizer.decode(r.response.tolist(), skip_special_tokens=True) for r in rollouts]
        return [float("boxed" in text) for text in texts]

    monkeypatch.setattr(VerifierReward, "__call__", generous)
    checks, _ = refused(run, "c3po-math")
    assert checks == {"rewards.again", "rewards.attacks"}


def test_selection_of_the_other_epoch(run, monkeypatch):
    from reference_trainer.select import choose

    def other(candidates, config):
        best = choose(candidates, config)
        return next((c for c in candidates if c.epoch != best.epoch), best)

    monkeypatch.setattr("reference_trainer.stages.selection.choose", other)
    checks, _ = refused(run, "select")
    assert {"choice", "choice.rule", "checkpoint.copied"} <= checks


def test_entropy_that_was_not_measured(run, monkeypatch):
    monkeypatch.setattr("reference_trainer.stages.selection.mean_entropy", lambda engine, rollouts: 0.4)
    checks, _ = refused(run, "select")
    assert checks == {"entropy.again"}


def test_supervised_loss_that_is_a_mean_of_means(run, monkeypatch):
    from reference_trainer.objective import sft_loss

    def mean(logprobs, selected, tokens):
        return sft_loss(logprobs, selected, max(1, int(selected.sum())))

    monkeypatch.setattr("reference_trainer.engine.update.sft_loss", mean)
    run.judge("general")
    assert only_red(run, "general") == {"objective.sft"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: rows[:-1], {"metrics.steps"}),
        (lambda rows: [rows[0], rows[0]], {"metrics.steps", "metrics.token_budget"}),
        (lambda rows: [rows[0], {**rows[1], "entropy": 9.0}], {"metrics.entropy"}),
        (lambda rows: [rows[0], {**rows[1], "learning_rate": 2e-3}], {"metrics.learning_rate"}),
        (lambda rows: [rows[0], {**rows[1], "loss": None}], {"metrics.finite"}),
        (lambda rows: [{**rows[0], "reward": 0.5}, rows[1]], {"evidence.1.figures"}),
        (lambda rows: [rows[0], {**rows[1], "tokens_trained": 151}], {"metrics.token_budget", "evidence.2.figures"}),
    ],
)
def test_metrics_that_cannot_be(run, change, expected):
    folder = run.folder / "c3po-math"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in change(rows)))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["outputs"] |= file_digests(folder, ["metrics.jsonl"])
    write_json(folder / MANIFEST, manifest)
    found = {check["name"] for check in run.judge("c3po-math")["checks"] if not check["ok"]}
    assert expected & found
    assert found <= expected | {"evidence.1.figures", "evidence.2.figures", "metrics.tokens_generated"}
