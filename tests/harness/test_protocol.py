import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.card import load_card
from harness.errors import UsageError
from harness.problems import LoadOptions, load
from harness.protocol import Task, differences, merge, new_manifest, sample_seed
from harness.types import SamplingParams

ENGINE = {"name": "transformers", "version": "5.17.0", "dtype": "float32"}
MODEL = {"name": "tiny", "hash": "sha256:12"}


@pytest.fixture
def task(sums: Path) -> Task:
    card = load_card(sums)
    return Task(card, load(card, sums), SamplingParams(1.0, 0.95, 0, 24), 3)


def manifest(*tasks: Task, model: dict | None = None, engine: dict | None = None, seed: int = 0) -> dict:
    content = new_manifest(model or MODEL, engine or ENGINE, seed)
    content["tasks"] = {task.hash: task.entry({"strict": {"versions": {"sympy": "1.14.0"}}}) for task in tasks}
    content["sessions"] = [{"started": "now"}]
    return content


@pytest.mark.parametrize(
    "changes",
    [
        {"params": SamplingParams(0.7, 0.95, 0, 24)},
        {"params": SamplingParams(1.0, 0.9, 0, 24)},
        {"params": SamplingParams(1.0, 0.95, 20, 24)},
        {"params": SamplingParams(1.0, 0.95, 0, 25)},
        {"params": SamplingParams(1.0, 0.95, 0, 24, ("\n",))},
        {"params": None},
    ],
)
def test_another_way_of_asking_is_another_task(task, changes):
    assert dataclasses.replace(task, **changes).hash != task.hash


def test_another_prompt_or_other_data_is_another_task(task, sums, tmp_path):
    card = task.card
    short = load(card, sums, LoadOptions(prompt="short"))
    assert dataclasses.replace(task, loaded=short, variant="short").hash != task.hash
    text = (sums / "sums.jsonl").read_text()
    (tmp_path / "sums.jsonl").write_text(text.replace("What is 3 + 9?", "What is 3 + 10?"))
    assert dataclasses.replace(task, loaded=load(card, tmp_path)).hash != task.hash
    (tmp_path / "sums.jsonl").write_text(text)
    assert dataclasses.replace(task, loaded=load(card, tmp_path)).hash == task.hash  # the same rows from elsewhere


def test_more_samples_and_problems_are_the_same_task(task):
    wider = dataclasses.replace(task, n=9, limit=4)
    assert wider.hash == task.hash
    small = {(r.problem_id, r.index): r for r in dataclasses.replace(task, limit=4).requests(5)}
    large = {(r.problem_id, r.index): r for r in wider.requests(5)}
    assert small.items() <= large.items()
    assert len(large) == 36


def test_every_sample_has_its_own_seed(task):
    first = [request.seed for request in task.requests(0)]
    assert len(set(first)) == len(first) == 24
    assert not set(first) & {request.seed for request in task.requests(1)}
    assert [request.seed for request in task.requests(0)] == first


@given(st.integers(), st.text(), st.text(), st.integers(0, 10**6))
def test_seeds_fit_every_engine(run_seed, name, problem, index):
    seed = sample_seed(run_seed, name, problem, index)
    assert 0 <= seed < 2**31
    assert seed != sample_seed(run_seed, name, problem, index + 1)


def test_seeds_never_change():
    assert sample_seed(0, "task", "I-1", 0) == 1654761638


def test_a_folder_may_grow(task, sums):
    old = manifest(dataclasses.replace(task, n=1, limit=2))
    other = dataclasses.replace(task, card=task.card.model_copy(update={"name": "sums2"}))
    merged = merge(old, manifest(task, other), "run")
    assert merged["tasks"][task.hash]["extent"] == {"n": 3, "limit": None, "num_problems": 8, "total_problems": 8}
    assert set(merged["tasks"]) == {task.hash, other.hash}
    assert len(merged["sessions"]) == 2
    assert merged["created"] == old["created"]


def test_another_scorer_is_added_to_those_that_were_there(task):
    new = manifest(task)
    new["tasks"][task.hash]["scorers"] = {"math-verify": {}}
    assert set(merge(manifest(task), new, "run")["tasks"][task.hash]["scorers"]) == {"strict", "math-verify"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model": {"name": "tiny", "hash": "sha256:34"}},
            r"another model: hash was \"sha256:12\" and is \"sha256:34\"",
        ),
        ({"engine": {**ENGINE, "dtype": "bfloat16"}}, r"another engine: dtype was \"float32\" and is \"bfloat16\""),
        ({"seed": 4}, r"another seed: seed was 0 and is 4"),
    ],
)
def test_another_model_engine_or_seed_is_refused(task, change, message):
    with pytest.raises(UsageError, match=message) as caught:
        merge(manifest(task), manifest(task, **change), "runs/x")
    assert "runs/x" in str(caught.value)
    assert "--out" in str(caught.value)


def test_another_protocol_is_refused_by_field(task):
    hot = dataclasses.replace(task, params=SamplingParams(0.6, 0.9, 0, 24))
    with pytest.raises(
        UsageError, match=r"another protocol of sums: sampling.temperature was 1.0 and is 0.6"
    ) as caught:
        merge(manifest(task), manifest(hot), "runs/x")
    assert "sampling.top_p" in str(caught.value)


def test_differences_see_what_only_one_side_has():
    assert differences({"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": (1,)}, "d": None, "e": 0}) == [
        ("a.b", 1, 2),
        ("e", None, 0),
    ]
