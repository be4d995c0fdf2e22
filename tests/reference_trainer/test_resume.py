"""A run that was killed and resumed equals the uninterrupted one, bitwise."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reference_trainer.checkpoint import checkpoints, latest_checkpoint
from reference_trainer.loop import run
from reference_trainer.metrics import read_rows

STEPS = 5


def noisy(prompts, rollouts):
    """A reward that draws from all global generators, so that any state that is not restored shows."""
    return [float(random.random() + np.random.rand() + torch.rand(()).item() > 1.5) for _ in rollouts]


def seeded(trainer, **sections: Any):
    stage = trainer(noisy, **sections)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return stage


def everything(stage) -> dict[str, Any]:
    optimizer = stage.engine.optimizer.state_dict()["state"]
    return {
        "weights": stage.engine.scorer.model.state_dict(),
        "moments": {f"{i}.{name}": value for i, state in optimizer.items() for name, value in state.items()},
        "reference": stage.engine.reference.model.state_dict(),
        "stream": stage.stream.state_dict(),
    }


def assert_bitwise(left: Any, right: Any, path: str = "") -> None:
    if isinstance(left, dict):
        assert left.keys() == right.keys(), path
        for name in left:
            assert_bitwise(left[name], right[name], f"{path}.{name}")
    elif isinstance(left, torch.Tensor):
        assert left.equal(right), path
    else:
        assert left == right, path


SECTIONS = [
    {"optimizer": {"schedule": "cosine", "total_steps": 2 * STEPS, "warmup_steps": 2, "updates_per_rollout": 2}},
    {"objective": {"fill_order": "shuffled_responses", "token_budget": 30, "importance_sampling": "truncated"}},
]


@pytest.mark.parametrize("sections", SECTIONS, ids=["two updates, cosine", "shuffled fill, importance"])
def test_resume_at_every_step_boundary_equals_the_uninterrupted_run_bitwise(trainer, tmp_path, sections):
    whole = seeded(trainer, **sections)
    run(whole, STEPS, tmp_path / "whole", keep=STEPS)
    wanted, metrics = everything(whole), (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert len(read_rows(tmp_path / "whole" / "metrics.jsonl")) == STEPS
    for boundary in range(1, STEPS):
        folder = tmp_path / f"from-{boundary}"
        run(seeded(trainer, **sections), boundary, folder)
        # One more step whose checkpoint is lost, as when the process dies after the metrics and before the checkpoint.
        run(seeded(trainer, **sections), boundary + 1, folder, keep=2)
        for lost in checkpoints(folder / "checkpoints")[1:]:
            for file in lost.iterdir():
                file.unlink()
            lost.rmdir()
        assert latest_checkpoint(folder / "checkpoints").name == f"step-{boundary:08d}"
        resumed = seeded(trainer, **sections)
        torch.manual_seed(99)
        random.seed(99)
        for parameter in (*resumed.engine.scorer.parameters(), *resumed.engine.reference.parameters()):
            parameter.data.zero_()  # whatever the fresh process began with does not matter
        run(resumed, STEPS, folder)
        assert_bitwise(everything(resumed), wanted)
        assert (folder / "metrics.jsonl").read_bytes() == metrics


def test_kill_at_random_moments_loses_nothing_and_ends_bitwise_equal(trainer, tmp_path):
    steps = 12
    whole = seeded(trainer)
    begin = time.perf_counter()
    run(whole, steps, tmp_path / "whole")
    lasted = time.perf_counter() - begin
    folder, moments, kills = tmp_path / "killed", random.Random(4), 0
    for attempt in range(200):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(seeded(trainer), steps, folder)
                code = 0
            finally:
                os._exit(code)
        if attempt < 10:
            time.sleep(moments.random() * lasted * 0.25)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            break
    assert kills >= 2
    resumed = seeded(trainer)
    run(resumed, steps, folder)
    assert_bitwise(everything(resumed), everything(whole))
    assert (folder / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_finished_run_is_left_alone(trainer, tmp_path):
    stage = seeded(trainer)
    run(stage, 2, tmp_path, checkpoint_every=5)
    files = {path: path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file()}
    assert len(checkpoints(tmp_path / "checkpoints")) == 1
    again = seeded(trainer)
    run(again, 2, tmp_path)
    assert_bitwise(everything(again), everything(stage))
    assert {path: path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file()} == files


def test_same_seed_same_metrics_file(trainer, tmp_path):
    for name in ("one", "two"):
        run(seeded(trainer), 3, tmp_path / name)
    one, two = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one.count(b"\n") == 3
