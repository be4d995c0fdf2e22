import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.backends.transformers import TransformersBackend, TransformersOptions
from harness.card import load_card
from harness.problems import load
from harness.protocol import Task
from harness.sampling import batches, missing, sample_task
from harness.store import RunStore, read_samples
from harness.types import Request, Sample, SamplingParams


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(TransformersOptions(str(tiny_model), device="cpu", batch_size=5))


@pytest.fixture
def task(sums: Path) -> Task:
    card = load_card(sums)
    return Task(card, load(card, sums), SamplingParams(1.0, 0.95, 0, 24), 3)


def new_store(folder: Path) -> RunStore:
    store = RunStore(folder)
    store.write_manifest({"tasks": {}})
    return store


def by_key(folder: Path) -> dict[tuple[str, int], Sample]:
    return {(s.problem_id, s.index): s for s in read_samples(folder)}


class Stop(Exception):
    """Stands for the moment at which a process is killed."""


def test_an_interrupted_run_gives_the_samples_of_an_uninterrupted_one(backend, task, tmp_path):
    seen: list[Sample] = []
    with new_store(tmp_path / "whole") as store:
        assert sample_task(backend, task, store, 0, seen.append) == 24
        assert not missing(task, store, 0)
        assert sample_task(backend, task, store, 0, seen.append) == 0
    assert len(seen) == 24

    def interrupt(after: int) -> Any:
        count = iter(range(1, 100))

        def on_sample(sample: Sample) -> None:
            if next(count) == after:
                raise Stop

        return on_sample

    for after in (1, 4, 7):
        with new_store(tmp_path / "parts") as store, pytest.raises(Stop):
            sample_task(backend, task, store, 0, interrupt(after))
    with new_store(tmp_path / "parts") as store:
        assert sample_task(backend, task, store, 0, lambda sample: None) == 24 - 12
    assert by_key(tmp_path / "parts") == by_key(tmp_path / "whole")
    assert len({s.response for s in seen}) == 24


def test_a_batch_is_drawn_as_it_was_planned(backend, task, tmp_path):
    with new_store(tmp_path) as store:
        plan = list(batches(backend, task, store, 0))
        assert [len(batch) for batch in plan] == [5, 5, 5, 5, 4]
        lengths = [len(request.messages[0]["content"]) for batch in plan for request in batch]
        assert lengths == sorted(lengths)
        done = plan[1][2]
        keys = [(r.problem_id, r.index) for r in plan[3]]
        for request in [done, *plan[3]]:
            store.add_sample(Sample(task.hash, "sums", request.problem_id, request.index, request.seed, "", "stop"))
        assert list(batches(backend, task, store, 0)) == [plan[0], plan[1], plan[2], plan[4]]
        assert not {(r.problem_id, r.index) for r in missing(task, store, 0)} & set(keys)


def test_a_larger_n_keeps_what_is_there(backend, task, tmp_path):
    with new_store(tmp_path) as store:
        sample_task(backend, dataclasses.replace(task, n=1), store, 0, lambda sample: None)
        before = by_key(tmp_path)
        assert sample_task(backend, task, store, 0, lambda sample: None) == 16
    after = by_key(tmp_path)
    assert len(after) == 24
    assert before.items() <= after.items()


def test_independent_engines_are_asked_for_what_is_missing_only(task, tmp_path):
    class Independent:
        name, seedable, batch_size = "independent", True, None

        def __init__(self) -> None:
            self.asked: list[Request] = []

        def describe(self) -> dict[str, Any]:
            return {}

        def close(self) -> None: ...

        def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
            self.asked += requests
            for r in requests:
                yield Sample(r.task, benchmark, r.problem_id, r.index, r.seed, str(r.seed), "stop")

    engine = Independent()
    with new_store(tmp_path) as store:
        store.add_sample(Sample(task.hash, "sums", "sum-3", 1, 7, "there", "stop"))
        assert sample_task(engine, task, store, 0, lambda sample: None) == 23
        assert ("sum-3", 1) not in {(r.problem_id, r.index) for r in engine.asked}
        assert sample_task(engine, task, store, 0, lambda sample: None) == 0
    assert len(engine.asked) == 23
    assert by_key(tmp_path)["sum-3", 1].response == "there"
