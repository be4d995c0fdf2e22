"""Two real DeepSpeed ranks against one process: the same losses, gradients, weights and checkpoints.

All is float32, so sums over ranks round otherwise than sums in one process. Tolerances are those of that rounding: 1e-5
of the loss, 1e-5 of the largest gradient, 2e-5 for weights of size 0.3 that moved by 2e-3 and more.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from reference_trainer.engine import OneProcessEngine
from reference_trainer.engine.settings import EngineConfig
from reference_trainer.metrics import read_rows
from reference_trainer.step import RLTrainer
from tests.reference_trainer.deepspeed import toy
from tests.reference_trainer.deepspeed.conftest import finished

LOSS, GRADIENT, WEIGHT = 1e-5, 1e-5, 2e-5
pytestmark = pytest.mark.timeout(1500)


@dataclass
class Compared:
    """One process, and the folder in which two ranks left what they did."""

    supervised: OneProcessEngine
    rows: list[dict[str, Any]]
    continued: float
    listed: list[dict[str, Any]]
    trainer: RLTrainer
    folder: Path

    def read(self, name: str) -> dict[str, Any]:
        return torch.load(self.folder / f"{name}.pt", weights_only=True)


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two-ranks")
    alone, rows = toy.supervised(EngineConfig())
    torch.save(alone.state_dict(), folder / "one-process.pt")
    reference = toy.weights_of(alone)
    _, listed = toy.supervised(EngineConfig(), listed=True)
    trainer = toy.reinforce(EngineConfig(), folder / "rl one process")
    finished(2, "equality", str(folder), log=folder / "log")
    continued = alone.update(toy.batches()[0])["loss"]
    alone.load_state_dict(torch.load(folder / "one-process.pt", weights_only=True))
    assert all(value.equal(reference[name]) for name, value in toy.weights_of(alone).items())
    return Compared(alone, rows, continued, listed, trainer, folder)


def largest(left: dict[Any, torch.Tensor], right: dict[Any, torch.Tensor]) -> float:
    assert left.keys() == right.keys()
    return max(float((left[name].float() - right[name].float()).abs().max()) for name in left)


def assert_same_metrics(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, list):
            torch.testing.assert_close(torch.tensor(got[name]), torch.tensor(value), rtol=LOSS, atol=LOSS, msg=name)
        else:
            assert got[name] == (value if value is None else pytest.approx(value, rel=LOSS, abs=LOSS)), name


@pytest.mark.parametrize("variant", toy.VARIANTS)
def test_five_supervised_updates_are_those_of_one_process(compared, variant):
    report = compared.read(f"sft {variant}")
    for got, wanted in zip(report["rows"], compared.rows, strict=True):
        assert_same_metrics(got["metrics"], wanted["metrics"])
        size = max(float(value.abs().max()) for value in wanted["gradient"].values())
        assert largest(got["gradient"], wanted["gradient"]) < GRADIENT * size
    assert largest(report["weights"], toy.weights_of(compared.supervised)) < WEIGHT


def test_five_supervised_updates_moved_every_weight_by_more_than_the_tolerance(compared):
    before = dict(toy.build_model().named_parameters())
    for name, value in compared.supervised.scorer.model.named_parameters():
        assert float((value - before[name]).detach().abs().max()) > 100 * WEIGHT, name


@pytest.mark.parametrize("variant", toy.HALF)
def test_bfloat16_is_near_float32_and_the_same_under_every_zero_stage(compared, variant):
    report, first = compared.read(f"sft {variant}"), compared.read(f"sft {next(iter(toy.HALF))}")
    for got, wanted, same in zip(report["rows"], compared.rows, first["rows"], strict=True):
        assert got["metrics"]["loss"] == pytest.approx(wanted["metrics"]["loss"], rel=0.05)
        assert got["metrics"]["loss"] == pytest.approx(same["metrics"]["loss"], rel=1e-3)
    assert report["state"]["model"]["model.norm.weight"].dtype == torch.float32
    assert largest(report["weights"], first["weights"]) < 1e-2


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_five_c3po_steps_are_those_of_one_process(compared, stage):
    report = compared.read(f"rl zero-{stage}")
    rows = read_rows(compared.folder / f"rl zero-{stage}" / "metrics.jsonl")
    wanted = read_rows(compared.folder / "rl one process" / "metrics.jsonl")
    assert len(rows) == toy.STEPS
    assert {row["reward"] for row in rows} - {0.0, 1.0}, "no group has rewards to tell responses apart by"
    for got, row in zip(rows, wanted, strict=True):
        assert_same_metrics(got, row)
    assert largest(report["weights"], toy.weights_of(compared.trainer.engine)) < WEIGHT


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_ranks_sample_their_share_of_the_prompts_and_all_hold_every_response(compared, stage):
    """After training: what two ranks draw is what one process draws (the workers compare with each other)."""
    torch.manual_seed(0)
    state = compared.trainer.stream.state_dict()
    drawn = [rollout.response.tolist() for rollout in compared.trainer._draw(0).rollouts]
    compared.trainer.stream.load_state_dict(state)
    assert compared.read(f"rl zero-{stage}")["samples"] == drawn


def test_experts_without_tokens_hang_no_rank_and_change_no_gradient(compared):
    """The second update has one sequence of three tokens: of eight experts at most six have one, and on rank 1 four."""
    load = torch.tensor(compared.rows[1]["metrics"]["expert_load"])
    assert bool((load == 0).any())
    report = compared.read("listed")
    wanted = compared.listed[0]["gradient"]  # of the experts that had a token at all
    assert largest({name: report["rows"][0]["gradient"][name] for name in wanted}, wanted) < GRADIENT
    # One process leaves an expert without gradient out of AdamW's step; DeepSpeed steps it with a gradient of zero.
    for got, wanted in zip(report["rows"], compared.listed, strict=True):
        assert got["metrics"]["loss"] == pytest.approx(wanted["metrics"]["loss"], rel=0.02)


@pytest.mark.parametrize("variant", toy.VARIANTS)
def test_a_gradient_that_is_not_finite_stops_the_run_and_leaves_the_weights(compared, variant):
    assert "gradient norm of update 5 is" in compared.read(f"sft {variant}")["refused"]


@pytest.mark.parametrize("variant", toy.VARIANTS)
def test_the_state_of_one_process_loads_into_shards_and_comes_back(compared, variant):
    state = torch.load(compared.folder / "one-process.pt", weights_only=True)
    report = compared.read(f"sft {variant}")
    loaded = report["loaded"]
    assert largest(loaded["model"], state["model"]) == 0
    assert loaded["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    for number, entry in state["optimizer"]["state"].items():
        assert largest(loaded["optimizer"]["state"][number], entry) == 0
    assert (loaded["updates"], loaded["ranks"]) == (toy.STEPS, 2)
    assert report["continued"] == pytest.approx(compared.continued, rel=LOSS)


@pytest.mark.parametrize("variant", toy.VARIANTS)
def test_the_state_of_shards_loads_into_one_process(compared, variant):
    report = compared.read(f"sft {variant}")
    engine = OneProcessEngine(toy.build_model(3), toy.SFT, toy.SFT_OPTIMIZER)
    engine.load_state_dict(report["state"])
    assert largest(toy.weights_of(engine), report["weights"]) == 0
    assert engine.updates == toy.STEPS
    assert math.isclose(engine.update(toy.batches()[0])["loss"], compared.continued, rel_tol=LOSS)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_checkpoint_of_shards_is_one_folder_in_hub_layout(compared, stage):
    folder = compared.folder / f"hub zero-{stage}"
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, experts_implementation="eager")
    assert not any(info.values())
    report = compared.read(f"rl zero-{stage}")
    assert largest(dict(toy.weights_of(OneProcessEngine(model, toy.SFT, toy.SFT_OPTIMIZER))), report["weights"]) == 0
