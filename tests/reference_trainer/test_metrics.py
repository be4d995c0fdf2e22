"""Metrics files: one row a step, torn tails tolerated, rows after the checkpoint dropped."""

import json

import pytest

from harness.errors import UsageError
from reference_trainer.metrics import MetricsLog, read_rows


def test_rows_go_to_two_files_and_undefined_figures_are_null(tmp_path):
    log = MetricsLog(tmp_path)
    log.append(1, {"reward": 0.5, "kl": float("nan"), "load": [0.5, float("inf")], "none": None}, {"seconds": 2.0})
    assert read_rows(tmp_path / "metrics.jsonl") == [
        {"schema_version": 1, "step": 1, "reward": 0.5, "kl": None, "load": [0.5, None], "none": None}
    ]
    assert read_rows(tmp_path / "timings.jsonl") == [{"schema_version": 1, "step": 1, "seconds": 2.0}]


def test_resuming_drops_later_rows_and_a_torn_tail(tmp_path):
    log = MetricsLog(tmp_path)
    for step in (1, 2, 3):
        log.append(step, {"reward": step}, {"seconds": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"schema_version": 1, "st')
    assert [row["step"] for row in read_rows(tmp_path / "metrics.jsonl")] == [1, 2, 3]
    MetricsLog(tmp_path, step=2).append(3, {"reward": 30}, {"seconds": 3})
    assert [(row["step"], row["reward"]) for row in read_rows(tmp_path / "metrics.jsonl")] == [(1, 1), (2, 2), (3, 30)]
    assert [row["step"] for row in read_rows(tmp_path / "timings.jsonl")] == [1, 2, 3]


def test_a_damaged_line_before_the_last_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(UsageError, match=r"metrics.jsonl, line 2 is not JSON"):
        MetricsLog(tmp_path, step=3)


def test_tensorboard_has_the_same_scalars(tmp_path):
    pytest.importorskip("tensorboard", reason="needs pip install 'ringlite[train]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = MetricsLog(tmp_path, tensorboard=True)
    for step in (1, 2):
        log.append(step, {"reward": step / 4, "load": [0.5, 0.5], "kl": None}, {"seconds": 1.0})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("reward")] == [(1, 0.25), (2, 0.5)]
    assert set(events.Tags()["scalars"]) == {"reward", "seconds"}


def test_rows_are_readable_as_a_data_set(tmp_path):
    MetricsLog(tmp_path).append(1, {"reward": 0.5}, {})
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["schema_version"] == 1
