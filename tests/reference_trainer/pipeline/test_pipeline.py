"""The whole pipeline of a tiny model as a user runs it: through the command, and killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import UsageError
from reference_trainer.pipeline import Pipeline, Show
from reference_trainer.recipe import load_recipe
from reference_trainer.stages import check_outputs, read_manifest, stages_of

KILLS = 10
RECIPE = Path(__file__).parent / "tiny.yaml"


def command(folder: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "ringlite", "train", "--recipe", str(RECIPE), "--out", str(folder)),
        *("--no-gates", *options),
    ]


def start(folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(folder, *options),
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(folder: Path, *options: str) -> None:
    process = start(folder, *options)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors.decode()[-3000:]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "whole"
    finish(folder)
    return folder


def outputs(folder: Path) -> dict[str, dict[str, str]]:
    return {stage.name: read_manifest(folder / stage.name)["outputs"] for stage in stages_of(load_recipe(str(RECIPE)))}


def quiet(folder: Path, **changes: object) -> Pipeline:
    recipe = load_recipe(str(RECIPE), changes)
    return Pipeline(recipe, folder, {}, Show(lambda name: pytest.fail(f"{name} was run"), lambda name: None))


def test_every_stage_leaves_what_its_manifest_says(whole: Path):
    for stage in stages_of(load_recipe(str(RECIPE))):
        check_outputs(whole / stage.name)
        assert read_manifest(whole / stage.name)["outputs"]
    assert (whole / "report.html").stat().st_size > 10_000


def test_a_finished_run_is_not_done_again(whole: Path):
    quiet(whole).run()


def test_a_changed_setting_makes_its_stage_and_what_follows_out_of_date(whole: Path):
    pipeline = quiet(whole, **{"c3po_code_science.steps": 4})
    stale = {stage.name for stage in pipeline.stages if not pipeline.up_to_date(stage)}
    assert stale == {"c3po-code-science"}  # general follows from its outputs, which have not changed yet
    everything = quiet(whole, seed=1)
    assert not any(everything.up_to_date(stage) for stage in everything.stages)


def test_grpo_and_c3po_draw_the_same_prompts_and_responses_at_first(whole: Path):
    import torch

    first = [torch.load(whole / stage / "evidence" / "step-000001.pt") for stage in ("c3po-math", "grpo-math")]
    assert first[0]["prompts"] == first[1]["prompts"]
    pairs = zip(first[0]["rollouts"], first[1]["rollouts"], strict=True)
    assert all(torch.equal(a["response"], b["response"]) for a, b in pairs)


def test_stage_one_trains_on_mathematics_and_stage_two_on_none_of_it(whole: Path):
    import torch

    for stage, domains in (("c3po-math", {"math"}), ("c3po-code-science", {"code", "science"})):
        for path in (whole / stage / "evidence").glob("*.pt"):
            assert {name.split("-")[0] for name in torch.load(path)["prompts"]} <= domains


def test_curation_reports_every_phase(whole: Path):
    report = json.loads((whole / "curate" / "report.json").read_text())
    phases = [phase["phase"] for phase in report["phases"]]
    assert phases[0] == "cleanse"
    assert phases[-1] == "select"
    assert report["phases"][0]["in"] == 3 * load_recipe(str(RECIPE)).data.train
    assert report["contamination"] == []


def test_kill_nine_at_ten_moments_changes_nothing(whole: Path, tmp_path: Path):
    moments = random.Random(20261124)
    folder, killed = tmp_path / "killed", 0
    while killed < KILLS:
        process = start(folder)
        _wait_for_work(process, folder)
        time.sleep(moments.uniform(0.0, 2.5))
        if process.poll() is not None:
            assert process.returncode == 0
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        killed += 1
    finish(folder)
    assert killed >= 5  # a fast machine may be done before the tenth
    assert outputs(folder) == outputs(whole)


def _wait_for_work(process, folder: Path) -> None:
    """Until the process holds the run's lock: before that a kill hits nothing but imports."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        lock = folder / ".lock"
        if lock.exists() and lock.read_text().strip() == str(process.pid):
            return
        time.sleep(0.02)


def test_another_recipes_folder_is_refused(whole: Path):
    with pytest.raises(UsageError, match="holds a run of recipe 'tiny'"):
        quiet(whole, name="other").run()


@pytest.mark.parametrize(("until", "wanted"), [("c3po", "did you mean"), ("base", None)])
def test_unknown_and_left_out_stages_are_named(tmp_path: Path, until: str, wanted: str | None):
    changes: dict[str, object] = {"base": None}
    with pytest.raises(UsageError, match=wanted or "leaves it out"):
        quiet(tmp_path, **changes).run(until=until)
