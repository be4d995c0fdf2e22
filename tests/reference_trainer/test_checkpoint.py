"""Checkpoints: every generator, atomic appearance, and refusals that name the way out."""

import json
import random
import shutil
import warnings

import numpy as np
import pytest
import torch

from harness.errors import UsageError
from reference_trainer.checkpoint import checkpoints, latest_checkpoint, load_checkpoint, save_checkpoint


def draws() -> list[float]:
    numbers = [random.random(), random.gauss(0, 1), np.random.rand(), np.random.standard_normal()]
    return [*numbers, *torch.rand(3).tolist(), *torch.randn(3).tolist()]


def test_generators_of_python_numpy_and_torch_continue_where_they_were(tmp_path):
    draws()  # an odd number of Gaussians leaves a cached one in the generators of python and numpy
    path = save_checkpoint(tmp_path, 1, {})
    expected = [draws() for _ in range(3)]
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    load_checkpoint(path)
    assert [draws() for _ in range(3)] == expected


def test_state_comes_back_bitwise(tmp_path):
    state = {"w": torch.randn(3, 4).bfloat16(), "n": {"x": 1.5, "y": [torch.tensor([1, 2]), None, "text"]}}
    loaded = load_checkpoint(save_checkpoint(tmp_path, 7, state))
    assert loaded["step"] == 7
    assert loaded["w"].equal(state["w"])
    assert loaded["n"]["x"] == 1.5
    assert loaded["n"]["y"][0].equal(torch.tensor([1, 2]))
    assert loaded["n"]["y"][1:] == [None, "text"]


def test_only_the_newest_are_kept_and_leftovers_of_a_kill_are_ignored_and_swept(tmp_path):
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, step, {})
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000002", "step-00000010"]
    (tmp_path / ".partial-step-00000011").mkdir()
    (tmp_path / ".partial-step-00000011" / "state.pt").write_bytes(b"half")
    shutil.copytree(tmp_path / "step-00000002", tmp_path / ".old-step-00000001")
    assert latest_checkpoint(tmp_path).name == "step-00000010"
    save_checkpoint(tmp_path, 11, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000011"]


def test_another_thread_count_is_refused_unless_accepted(tmp_path):
    path = save_checkpoint(tmp_path, 1, {"x": 1})
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        with pytest.raises(UsageError, match=f"OMP_NUM_THREADS={threads}"):
            load_checkpoint(path)
        with pytest.warns(UserWarning, match=f"not bitwise: threads {threads} -> {threads + 1}"):
            assert load_checkpoint(path, other_threads=True)["x"] == 1
    finally:
        torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_checkpoint(path)


def test_damage_is_found_and_named(tmp_path):
    path = save_checkpoint(tmp_path, 1, {"x": torch.zeros(100)})
    data = bytearray((path / "state.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "state.pt").write_bytes(data)
    with pytest.raises(UsageError, match=r"state.pt is damaged .* resume from the one before"):
        load_checkpoint(path)
    (path / "state.pt").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(path)


def test_other_schemas_and_second_writers_are_refused(tmp_path):
    path = save_checkpoint(tmp_path, 1, {})
    with pytest.raises(UsageError, match="exists: resume the run"):
        save_checkpoint(tmp_path, 1, {})
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(UsageError, match="schema 99"):
        load_checkpoint(path)


def test_no_checkpoint_is_none(tmp_path):
    assert latest_checkpoint(tmp_path / "nowhere") is None
