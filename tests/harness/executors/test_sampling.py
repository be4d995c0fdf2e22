"""Engines on the nodes of a cluster: which they are, what becomes of their errors, and of them when nobody listens."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.executors.ray import ATTEMPTS
from harness.executors.sampling import RayBackend
from harness.types import Request, Sample, SamplingParams


class Engine:
    """Answers a request with what its message orders, and notes each in a file of its own."""

    name = "engine"
    seedable = True
    batch_size = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def describe(self) -> dict[str, Any]:
        host = {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES", ""), "pid": os.getpid()}
        return {"model": {"name": "m"}, "engine": {"name": self.name}, "host": host}

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        for request in requests:
            order = request.messages[0]["content"]
            with (self.folder / f"{os.getpid()}.txt").open("a") as notes:
                notes.write(f"{request.index}\n")
            if order == "die" or (order == "die once" and not (self.folder / "died").exists()):
                (self.folder / "died").touch()
                time.sleep(0.5)  # so that what was yielded before has left
                os.kill(os.getpid(), signal.SIGKILL)
            if order == "raise":
                raise UsageError("the server refuses the request: no such model")
            text = f"{order} {os.environ.get('CUDA_VISIBLE_DEVICES')}"
            yield Sample(request.task, benchmark, request.problem_id, request.index, request.seed, text, "stop")

    def close(self) -> None: ...


def requests(count: int, order: Callable[[int], str] = lambda number: "answer") -> list[Request]:
    return [Request("t", "p", n, n, ({"role": "user", "content": order(n)},)) for n in range(count)]


def drawn(folder: Path) -> list[int]:
    return sorted(int(line) for path in folder.glob("*.txt") for line in path.read_text().split())


@pytest.fixture
def spread(two_nodes: Any, connection: None, tmp_path: Path) -> Iterator[Callable[..., RayBackend]]:
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import this file
    started: list[RayBackend] = []

    def start(**options: Any) -> RayBackend:
        started.append(RayBackend(partial(Engine, tmp_path), two_nodes.address, **{"least": 4, **options}))
        return started[-1]

    yield start
    for backend in started:
        backend.close()


def indices(samples: Sequence[Sample]) -> list[int]:
    return sorted(sample.index for sample in samples)


def test_one_engine_for_each_gpu_and_the_manifest_of_an_engine_without_ray(spread, tmp_path):
    backend = spread(gpus=1)
    until = time.monotonic() + 60
    while len(backend.describe()["host"]["sampling"]["nodes"]) < 2 and time.monotonic() < until:
        list(backend.generate("b", requests(1), SamplingParams()))
    described, alone = backend.describe(), Engine(tmp_path).describe()
    assert (described["model"], described["engine"]) == (alone["model"], alone["engine"])
    assert (backend.name, backend.seedable, backend.batch_size) == ("engine", True, None)
    assert sorted(node["gpus"] for node in described["host"]["sampling"]["nodes"]) == ["0", "1"]
    samples = list(backend.generate("b", requests(100), SamplingParams()))
    assert indices(samples) == list(range(100))
    assert {sample.response for sample in samples} == {"answer 0", "answer 1"}


def test_what_a_dead_engine_delivered_is_kept_and_the_rest_is_drawn_elsewhere(spread, tmp_path):
    backend = spread(least=50)
    samples = list(backend.generate("b", requests(50, lambda n: "die once" if n == 30 else "answer"), SamplingParams()))
    assert indices(samples) == list(range(50))
    assert drawn(tmp_path) == sorted([*range(50), 30])  # only what was under way when it died


def test_a_request_that_kills_every_engine_ends_the_run_after_the_others(spread):
    backend, samples = spread(least=50), []
    with pytest.raises(UsageError, match=f"{ATTEMPTS} Ray workers one after the other ended without any sample"):
        samples.extend(backend.generate("b", requests(20, lambda n: "die" if n == 19 else "answer"), SamplingParams()))
    assert indices(samples) == list(range(19))


def test_an_error_of_the_engine_is_the_error_of_the_run(spread):
    backend, samples = spread(), []
    with pytest.raises(UsageError, match="no such model"):
        samples.extend(backend.generate("b", requests(20, lambda n: "raise" if n == 9 else "answer"), SamplingParams()))
    assert set(indices(samples)) >= set(range(4))


def test_engines_pause_while_samples_are_not_taken_and_end_when_nobody_wants_them(spread, tmp_path):
    backend = spread(least=5000)
    samples = backend.generate("b", requests(5000), SamplingParams())
    next(samples)
    time.sleep(5)
    assert len(drawn(tmp_path)) < 1000
    samples.close()
    assert indices(list(backend.generate("b", requests(10), SamplingParams()))) == list(range(10))
