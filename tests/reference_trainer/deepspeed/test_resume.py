"""A killed rank ends the job, the resumed run is the uninterrupted one, and other numbers of ranks go on with it."""

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch

from harness.errors import UsageError
from reference_trainer.checkpoint import checkpoints, latest_checkpoint, load_checkpoint
from reference_trainer.engine.settings import EngineConfig
from reference_trainer.loop import refuse_other_storage
from reference_trainer.metrics import read_rows
from tests.reference_trainer.deepspeed import toy
from tests.reference_trainer.deepspeed.conftest import finished, started

pytestmark = pytest.mark.timeout(1500)


def wait_for(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """An uninterrupted run on two ranks, with the checkpoint of every step."""
    folder = tmp_path_factory.mktemp("resume") / "whole"
    finished(2, "resumable", str(folder), log=folder.parent / "whole.log")
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "end.pt", weights_only=True)["weights"]


def beginning(whole: Path, folder: Path, steps: int) -> Path:
    """A run that was stopped after ``steps`` steps."""
    shutil.copytree(whole, folder)
    (folder / "end.pt").unlink()
    for later in checkpoints(folder / "checkpoints")[steps:]:
        shutil.rmtree(later)
    return folder


def test_a_killed_rank_ends_the_job_with_a_clear_error_and_the_resumed_run_is_the_same(whole, tmp_path):
    folder, log = tmp_path / "killed", tmp_path / "killed.log"
    with started(2, "resumable", str(folder), log=log) as job:
        wait_for(lambda: len(checkpoints(folder / "checkpoints")) >= 2 or job.poll() is not None, 600)
        assert job.poll() is None, log.read_text()[-4000:]
        pids = [int((folder / f"pid-{rank}").read_text()) for rank in (0, 1)]
        os.kill(pids[1], signal.SIGKILL)
        assert job.wait(300) != 0
    text = log.read_text(errors="replace")
    assert "Signal 9 (SIGKILL) received by PID" in text
    assert "rank      : 1" in text
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert latest_checkpoint(folder / "checkpoints").name < f"step-{toy.STEPS:08d}"
    finished(2, "resumable", str(folder), log=tmp_path / "resumed.log")
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    got, wanted = weights(folder), weights(whole)
    assert all(got[name].equal(wanted[name]) for name in wanted)


def assert_near(folder: Path, whole: Path) -> None:
    """Metrics of every step and the weights at the end agree up to the rounding of sums."""
    rows, wanted = read_rows(folder / "metrics.jsonl"), read_rows(whole / "metrics.jsonl")
    assert len(rows) == len(wanted) == toy.STEPS
    for got, row in zip(rows, wanted, strict=True):
        assert got["loss"] == pytest.approx(row["loss"], rel=1e-5, abs=1e-5)
        assert got["reward"] == row["reward"]


def test_two_ranks_resume_on_one_under_another_zero_stage(whole, tmp_path):
    """And without a launcher."""
    folder = beginning(whole, tmp_path / "one", steps=3)
    finished(1, "resumable", str(folder), "3", log=tmp_path / "log")
    assert_near(folder, whole)
    got, wanted = weights(folder), weights(whole)
    assert max(float((got[name] - wanted[name]).abs().max()) for name in wanted) < 2e-5


def test_two_ranks_resume_in_one_process_without_deepspeed(whole, tmp_path):
    folder = beginning(whole, tmp_path / "alone", steps=3)
    trainer = toy.reinforce(EngineConfig(), folder)
    assert_near(folder, whole)
    got, wanted = toy.weights_of(trainer.engine), weights(whole)
    assert max(float((got[name] - wanted[name]).abs().max()) for name in wanted) < 2e-5


def test_a_budget_of_each_rank_is_not_resumed_on_other_ranks(whole):
    trainer = toy.trainer(EngineConfig(), objective=toy.RL.objective.model_copy(update={"budget_scope": "rank"}))
    state = load_checkpoint(latest_checkpoint(whole / "checkpoints"), other_threads=True)
    with pytest.raises(UsageError, match="made on 2 ranks, and with budget_scope 'rank' 1 would train"):
        trainer.engine.load_state_dict(state["engine"])


def test_ranks_that_see_other_checkpoints_are_told_to_share_storage(tmp_path):
    class TwoFolders:
        def gather(self, value: str) -> list[str]:
            return [value, "step-00000002"]

    with pytest.raises(UsageError, match="is none for rank 0 and step-00000002 for rank 1: put the run's folder on"):
        refuse_other_storage(TwoFolders(), tmp_path, None)
