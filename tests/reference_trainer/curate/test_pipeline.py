"""The whole curation through the command: counts, verification, rates, selection, recipes, and SIGKILL."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from harness.errors import CheckFailed, UsageError
from harness.store import RunStore
from harness.types import Grade, Sample
from reference_trainer.curate import curate, load_recipe
from reference_trainer.tasks import demonstrate, problem_set
from reference_trainer.tasks.files import problem_row
from reference_trainer.tasks.problems import TOYS


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recipe_file(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_every_phase_drops_what_it_should_and_the_counts_add_up(tmp_path: Path):
    rows = [
        {"id": "good", "problem": "Find 1+1.", "answer": "2", "source": "made up"},
        {"id": "always", "problem": "Find 1+2.", "answer": 3},
        {"id": "never", "problem": "Find 1+3.", "answer": "4"},
        {"id": "strong", "problem": "Find 1+4.", "answer": "5", "solution": "So \\boxed{5}."},
        {"id": "image", "problem": "In the figure, find x.", "answer": "5"},
        {"id": "twice", "problem": "Find  1+1.", "answer": "2"},
        {"id": "leak", "problem": "Find 9+9.", "answer": "18"},
        {"id": "wrong", "problem": "Find 2+2.", "answer": "5", "solution": "So \\boxed{4}."},
    ]
    write(tmp_path / "held.jsonl", [{"id": "h1", "question": "Find 9+9."}])
    answers = {"good": ["2", "7"], "always": ["3", "3"], "never": ["1", "1"], "strong": ["1", "1"]}
    write(
        tmp_path / "distilled.jsonl",
        [{"problem_id": name, "response": f"\\boxed{{{a}}}"} for name, both in answers.items() for a in both],
    )
    write(tmp_path / "strong.jsonl", [{"problem_id": "strong", "response": "\\boxed{5}"}])
    recipe = recipe_file(
        tmp_path,
        {
            "decontaminate": {"files": ["held.jsonl"]},
            "models": [
                {"name": "distilled", "generations": ["distilled.jsonl"]},
                {"name": "r1", "generations": ["strong.jsonl"]},
            ],
            "difficulty": {"model": "distilled", "bounds": [0.75, 0.25]},
            "select": {"model": "distilled", "others": ["r1"], "min_samples": 2},
        },
    )
    source = write(tmp_path / "in.jsonl", rows)
    report = curate(source, tmp_path / "out", load_recipe(recipe), workers=1)
    assert ids(tmp_path / "out" / "curated.jsonl") == ["good", "strong"]
    dropped = {phase["phase"]: phase["dropped"] for phase in report["phases"]}
    assert dropped == {
        "cleanse": {"image": 1},
        "deduplicate_exactly": {"exact_duplicate": 1},
        "deduplicate_nearly": {},
        "decontaminate": {"contaminated": 1},
        "verify_answers": {"solution_disagrees": 1},
        "pass_rates": {},
        "difficulty": {},
        "select": {"always_solved": 1, "never_solved": 1},
    }
    for before, after in zip(report["phases"], report["phases"][1:], strict=False):
        assert before["kept"] == after["in"] == before["in"] - sum(before["dropped"].values())
    assert [(hit["id"], hit["hits"][0]["problem"]) for hit in report["contamination"]] == [("leak", "h1")]
    good = json.loads((tmp_path / "out" / "curated.jsonl").read_text().splitlines()[0])
    assert good["pass_rates"] == {"distilled": {"right": 1, "samples": 2, "rate": 0.5}}
    assert (good["difficulty"], good["source"], good["problem"]) == (2, "made up", "Find 1+1.")


def test_rates_come_from_a_graded_run_of_the_harness(tmp_path: Path):
    source = write(tmp_path / "in.jsonl", [{"id": n, "question": f"Find {n}.", "answer": "1"} for n in ("p1", "p2")])
    with RunStore(tmp_path / "run") as store:
        store.write_manifest({"tasks": {}})
        for name, right in (("p1", [True, False, True, False]), ("p2", [False] * 4), ("other", [True])):
            for index, correct in enumerate(right):
                store.add_sample(Sample("t", "b", name, index, 0, "", "stop"))
                store.add_grade(Grade("t", "b", name, index, "strict", correct, "ok"))
                store.add_grade(Grade("t", "b", name, index, "math-verify", True, "ok"))
    content = {"models": [{"name": "m", "runs": ["run"]}], "select": {"model": "m"}}
    curate(source, tmp_path / "out", load_recipe(recipe_file(tmp_path, content)), workers=1)
    assert ids(tmp_path / "out" / "curated.jsonl") == ["p1"]
    content["models"][0]["scorer"] = "stricter"
    with pytest.raises(UsageError, match="no grades of stricter; did you mean 'strict'"):
        curate(source, tmp_path / "out", load_recipe(recipe_file(tmp_path, content)), workers=1)


def test_missing_responses_are_refused_dropped_or_kept(tmp_path: Path):
    source = write(tmp_path / "in.jsonl", [{"id": n, "question": f"Find {n}.", "answer": "1"} for n in ("p1", "p2")])
    responses = [{"problem_id": "p1", "response": f"\\boxed{{{a}}}"} for a in (1, 2)]
    write(tmp_path / "g.jsonl", responses)
    content: dict[str, Any] = {"models": [{"name": "m", "generations": ["g.jsonl"]}], "select": {"model": "m"}}
    with pytest.raises(CheckFailed, match="1 of 2 problems, 'p2' first, have fewer than 1"):
        curate(source, tmp_path / "out", load_recipe(recipe_file(tmp_path, content)), workers=1)
    for unknown, kept in (("drop", ["p1"]), ("keep", ["p1", "p2"])):
        content["select"]["unknown"] = unknown
        curate(source, tmp_path / "out", load_recipe(recipe_file(tmp_path, content)), workers=1)
        assert ids(tmp_path / "out" / "curated.jsonl") == kept


def test_answers_that_nothing_can_grade_are_dropped(tmp_path: Path):
    problem = problem_set("code", "train", 1, 0)[0]
    rows = [
        {"id": "empty", "question": "Find a.", "answer": "1", "gold": {"entry_point": "f", "cases": []}},
        {**problem_row(problem), "id": "program"},
        {**problem_row(problem), "id": "broken", "question": "g", "answer": "def f(x):return -1"},
        {"id": "list", "question": "Find b.", "answer": ["1", "2"]},
    ]
    source = write(tmp_path / "in.jsonl", rows)
    report = curate(source, tmp_path / "out", load_recipe(recipe_file(tmp_path, {"cleanse": None})), workers=1)
    assert ids(tmp_path / "out" / "curated.jsonl") == ["program", "list"]
    assert report["phases"][-1]["dropped"] == {"solution_disagrees": 1, "unverifiable_answer": 1}


def test_only_what_a_changed_recipe_changes_is_run_again(tmp_path: Path):
    source = write(tmp_path / "in.jsonl", [{"id": n, "question": f"Find {n}.", "answer": "1"} for n in "abcdef"])
    seen: list[tuple[str, bool]] = []

    def run(content: dict[str, Any]) -> dict[str, bool]:
        seen.clear()
        recipe = load_recipe(recipe_file(tmp_path, content))
        curate(source, tmp_path / "out", recipe, workers=1, progress=lambda n, c, done: seen.append((n, done)))
        return dict(seen)

    assert not any(run({}).values())
    assert all(run({}).values())
    changed = run({"deduplicate": {"threshold": 0.7}})
    assert (changed["cleanse"], changed["deduplicate_nearly"], changed["verify_answers"]) == (True, False, True)
    (tmp_path / "out" / "phases" / "01-cleanse.jsonl").write_text("")  # spoilt behind our back
    assert run({"deduplicate": {"threshold": 0.7}})["cleanse"] is False
    assert len(ids(tmp_path / "out" / "curated.jsonl")) == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"clense": {}}, "unknown key 'clense'; did you mean 'cleanse'?"),
        ({"deduplicate": {"treshold": 1}}, "unknown key 'deduplicate.treshold'; did you mean 'threshold'?"),
        ({"cleanse": {"rules": ["image", "imagine"]}}, "cleanse.rules.1"),
        ({"select": {"model": "m"}}, "model 'm' is used but not among models"),
        ({"models": [{"name": "m"}]}, "neither runs nor generations"),
        ({"models": [{"name": "m", "runs": ["nowhere"]}]}, "which does not exist"),
        ({"difficulty": {"model": "m", "bounds": [0.2, 0.5]}}, "each smaller than the one before"),
        ({"verify": {"min_agreeing": 2}}, "needs models"),
    ],
)
def test_a_bad_recipe_is_refused_with_its_key(tmp_path: Path, content, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        load_recipe(recipe_file(tmp_path, content))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a", "text": "?"}], "row 1 has no text in any of the columns question, problem, prompt"),
        ([{"id": "a", "question": "?"}] * 2, "the id 'a' stands in row 1 too"),
    ],
)
def test_a_bad_input_is_refused_with_its_row(tmp_path: Path, rows, said):
    source = write(tmp_path / "in.jsonl", rows)
    with pytest.raises(UsageError, match=re.escape(said)):
        curate(source, tmp_path / "out", load_recipe(recipe_file(tmp_path, {})), workers=1)


def test_the_command_survives_sigkill_at_any_moment(tmp_path: Path):
    random = Random(0)
    problems = [problem for domain in ("math", "code", "science") for problem in problem_set(domain, "train", 60, 0)]
    source = write(tmp_path / "in.jsonl", [problem_row(problem) for problem in problems])
    responses = [
        {"problem_id": problem.id, "response": demonstrate(problem, random, 0.5).response}
        for problem in problems
        for _ in range(3)
    ]
    write(tmp_path / "g.jsonl", responses)
    content = {
        "models": [{"name": "m", "generations": ["g.jsonl"]}],
        "difficulty": {"model": "m"},
        "select": {"model": "m"},
    }
    recipe = recipe_file(tmp_path, content)

    def start(out: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ringlite", "train", "curate", str(source), str(tmp_path / out)]
        return subprocess.Popen(
            [*command, "--recipe", str(recipe), "--workers", "1"], stdout=subprocess.DEVNULL, start_new_session=True
        )

    begin = time.monotonic()
    assert start("whole").wait() == 0
    usual = time.monotonic() - begin
    kills = 0
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        process = start("killed")
        try:
            process.wait(usual * share)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    assert start("killed").wait() == 0
    assert kills > 0
    for name in ("curated.jsonl", "report.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    kept = ids(tmp_path / "whole" / "curated.jsonl")
    solved = {problem.id: 0 for problem in problems}
    for response in responses:
        problem = next(p for p in problems if p.id == response["problem_id"])
        solved[problem.id] += response["response"] == TOYS[problem.domain].careful(problem)
    # A careful response is right; a hasty one may be, by luck.
    assert kept
    assert all(solved[name] < 3 for name in kept)


def test_one_writer_at_a_time(tmp_path: Path):
    source = write(tmp_path / "in.jsonl", [{"id": "a", "question": "Find a.", "answer": "1"}])
    recipe = load_recipe(recipe_file(tmp_path, {}))

    def again(*_: Any) -> None:
        curate(source, tmp_path / "out", recipe, workers=1)

    with pytest.raises(UsageError, match="open in this process already"):
        curate(source, tmp_path / "out", recipe, workers=1, progress=again)


def test_a_torn_verdict_is_cut_off_and_a_damaged_one_named(tmp_path: Path):
    source = write(tmp_path / "in.jsonl", [{"id": "a", "question": "Find a.", "answer": "1"}])
    recipe = load_recipe(recipe_file(tmp_path, {}))
    curate(source, tmp_path / "out", recipe, workers=1)
    log = tmp_path / "out" / "verdicts.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"key": "to')
    curate(source, tmp_path / "out", recipe, workers=1)
    assert log.read_bytes() == whole
    log.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(UsageError, match="line 1, is no verdict"):
        curate(source, tmp_path / "out", recipe, workers=1)


def test_toy_data_by_the_command(tmp_path: Path):
    command = [sys.executable, "-m", "ringlite", "train", "tasks", str(tmp_path), "--train", "20", "--validation", "5"]
    done = subprocess.run(
        [*command, "--heldout", "10", "--demonstrations", "30", "--json"], capture_output=True, text=True, check=True
    )
    counts = json.loads(done.stdout)
    assert (counts["math/train.jsonl"], counts["sft.jsonl"], counts["toy_code.jsonl"]) == (20, 30, 10)
    bad = subprocess.run([*command, "--heldout", "3000"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "heldout set has hardly more than" in bad.stderr
    assert bad.stderr.count("\n") == 1
