"""The regression gate: a worse model is red, an equal one is not, and baselines change by command alone."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.errors import CheckFailed, UsageError
from harness.statistics import Counts
from harness.types import Sample
from reference_trainer.cli import app
from reference_trainer.gates import STAGE_GATES
from reference_trainer.gates.baseline import baseline_path, read_baseline, record_baseline
from reference_trainer.gates.record import RECORD, read_record
from reference_trainer.gates.regression import check_bounds, drop
from reference_trainer.tasks.files import read_problems
from reference_trainer.tasks.problems import TOYS

STAGES = list(STAGE_GATES)


@pytest.fixture
def baselines(tmp_path, monkeypatch):
    monkeypatch.setenv("RINGLITE_BASELINES", str(tmp_path / "baselines"))
    return tmp_path / "baselines"


class Teacher:
    """An engine that is right: the careful teacher answers every held-out question."""

    name, seedable, batch_size = "teacher", True, None

    def __init__(self, run):
        files = [run.folder / "data" / domain / "heldout.jsonl" for domain in TOYS]
        self.answers = {p.question: TOYS[p.domain].careful(p) for file in files for p in read_problems(file)}

    def describe(self):
        return {"model": {"name": "teacher"}, "engine": {"name": "teacher"}, "host": {}}

    def generate(self, benchmark, requests, params):
        for request in requests:
            text = self.answers[request.messages[-1]["content"]]
            yield Sample(request.task, benchmark, request.problem_id, request.index, request.seed, text, "stop")

    def close(self):
        pass


def judged_by_teacher(run, monkeypatch, stage):
    """The stage's record as if its checkpoint were the teacher."""
    with monkeypatch.context() as patch:
        patch.setattr("reference_trainer.gates.scores.TransformersBackend", lambda options: Teacher(run))
        patch.setattr("reference_trainer.gates.scores.SCORES", "scores-of-the-teacher")
        return run.judge(stage)


def test_worse_checkpoint_is_red_and_an_equal_one_is_not(run, baselines, monkeypatch):
    record = judged_by_teacher(run, monkeypatch, "select")
    assert {domain: score["score"] for domain, score in record["scores"].items()} == dict.fromkeys(TOYS, 1.0)
    record_baseline(run.recipe, run.folder, ["select"], "the teacher")
    again = judged_by_teacher(run, monkeypatch, "select")
    assert again["verdict"] == "green"
    assert {domain["difference"] for domain in again["baseline"]["domains"].values()} == {0.0}
    (run.folder / "select" / RECORD).unlink()  # the teacher's, which is up to date but for who was judged
    with pytest.raises(CheckFailed, match=r"gate select is red: scores\.baseline\.math .* dropped by \d+"):
        run.pipeline().run(until="select")
    red = {check["name"] for check in read_record(run.folder / "select")["checks"] if not check["ok"]}
    assert red == {f"scores.baseline.{domain}" for domain in TOYS}


def test_drop_within_the_margin_is_green(with_settings, baselines, monkeypatch):
    run = with_settings(margin=100.0)
    judged_by_teacher(run, monkeypatch, "select")
    record_baseline(run.recipe, run.folder, ["select"], "the teacher")
    run.pipeline().run(until="select")
    record = read_record(run.folder / "select")
    assert record["verdict"] == "green"
    assert record["compared"].startswith("the baseline of ")
    assert record["baseline"]["domains"]["math"]["difference"] < -0.5


def test_baseline_keeps_counts_origin_and_the_history_of_reasons(run, baselines):
    record_baseline(run.recipe, run.folder, STAGES, "first run")
    content = record_baseline(run.recipe, run.folder, STAGES, "the same again")
    assert [entry["reason"] for entry in content["history"]] == ["first run", "the same again"]
    assert {"commit", "seed", "environment", "recorded"} <= content.keys()
    score = content["stages"]["general"]["math"]
    assert len(score["correct"]) == score["problems"] == run.recipe.gates.limit
    assert set(score["drawn"].values()) == {run.recipe.gates.n}
    assert read_baseline("tiny") == content
    run.pipeline().run(until="distill")
    record = read_record(run.folder / "distill")
    assert record["baseline"]["domains"]["math"]["difference"] == 0
    assert record["baseline"]["reason"] == "the same again"


def test_baseline_refuses_what_is_none(run, baselines):
    with pytest.raises(UsageError, match="say it with --reason"):
        record_baseline(run.recipe, run.folder, STAGES, "  ")
    record = json.loads((run.folder / "select" / RECORD).read_text())
    record["scores"]["math"]["score"] = 1.0
    (run.folder / "select" / RECORD).write_text(json.dumps(record))
    with pytest.raises(UsageError, match="was changed after it was written"):
        record_baseline(run.recipe, run.folder, STAGES, "edited")
    (run.folder / "select" / RECORD).unlink()
    with pytest.raises(UsageError, match="judge it first"):
        record_baseline(run.recipe, run.folder, STAGES, "not judged")
    (run.folder / "distill" / "epoch-1" / "config.json").write_text("{}")
    run.judge("distill")
    with pytest.raises(UsageError, match="gate is red: outputs"):
        record_baseline(run.recipe, run.folder, STAGES, "red")
    assert not baseline_path("tiny").exists()


def test_baseline_that_was_edited_is_refused(run, baselines):
    record_baseline(run.recipe, run.folder, STAGES, "first run")
    content = json.loads(baseline_path("tiny").read_text())
    content["stages"]["select"]["math"]["score"] = 0.0
    baseline_path("tiny").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="changed by hand"):
        run.pipeline().run(until="select")


def test_record_that_was_edited_does_not_vouch(run):
    path = run.folder / "distill" / RECORD
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "compared": "everything"}))
    run.pipeline().run(until="distill")
    assert read_record(run.folder / "distill")["compared"] == record["compared"]


def test_green_record_is_not_made_again(run):
    before = {name: (run.folder / name / RECORD).stat().st_mtime_ns for name in STAGES}
    run.pipeline().run()
    assert {name: (run.folder / name / RECORD).stat().st_mtime_ns for name in STAGES} == before


def test_floors_and_ceilings():
    scores = {"math": 0.9, "code": 0.5}
    checks = check_bounds(scores, {"math": 90.0, "code": 60.0, "science": 1.0}, {"math": 90.0, "code": 60.0})
    assert {check.name for check in checks if not check.ok} == {
        "scores.floor.code",
        "scores.floor.science",
        "scores.ceiling.math",
    }


def test_no_more_false_alarms_than_alpha_and_power_against_a_real_drop():
    random = np.random.default_rng(0)
    problems, n, margin, alpha = 200, 2, 0.05, 0.05

    def share_of_alarms(by: float) -> float:
        alarms = 0
        for _ in range(300):
            p = random.beta(4, 2, problems)
            then = Counts.of(random.binomial(n, p), n)
            now = Counts.of(random.binomial(n, np.clip(p - by, 0, 1)), n)
            alarms += drop(now, then, margin)[1] < alpha
        return alarms / 300

    assert share_of_alarms(0.0) <= 0.01
    assert share_of_alarms(margin) <= alpha + 0.04
    assert share_of_alarms(0.25) >= 0.95


def test_commands(run, baselines):
    shell = CliRunner()
    shown = shell.invoke(app, ["gate", str(run.folder), "select"])
    assert shown.exit_code == 0, shown.output
    assert "select: green" in shown.output
    assert "choice.rule" in shown.output
    assert shell.invoke(app, ["baseline", str(run.folder)]).exit_code == 2  # no reason
    taken = shell.invoke(app, ["baseline", str(run.folder), "--reason", "first run"])
    assert taken.exit_code == 0, taken.output
    assert f"baseline: {baseline_path('tiny')}" in taken.output
    assert read_baseline("tiny")["history"][0]["reason"] == "first run"
    wrong = shell.invoke(app, ["gate", str(run.folder), "selct"])
    assert isinstance(wrong.exception, UsageError)
    assert "did you mean 'select'" in str(wrong.exception)
    (run.folder / "select" / "selection.json").write_text("{}")
    red = shell.invoke(app, ["gate", str(run.folder), "select", "--json"])
    assert isinstance(red.exception, CheckFailed)
    assert json.loads(red.output)["select"]["verdict"] == "red"
