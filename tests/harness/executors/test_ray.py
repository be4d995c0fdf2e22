"""The executor itself on the two nodes: bounds, lost workers, refusals, and the errors that a user can meet."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.card import load_card
from harness.errors import UsageError
from harness.executors.cluster import connected
from harness.executors.executor import Choice, WorkLost
from harness.executors.judging import RaySandbox
from harness.executors.ray import ATTEMPTS, RayExecutor
from harness.problems import load_problems
from harness.store import read_grades, read_manifest
from harness.types import Sample
from sandbox import Sandbox
from sandbox.errors import InvalidJob, IsolationUnavailable
from sandbox.job import Job, Options


class Obedient:
    """Does what an item says; knows its process and node."""

    def __init__(self, refusal: str, folder: Path, threads: int) -> None:
        import ray

        self.node = ray.get_runtime_context().get_node_id()
        if refusal in ("all", self.node):
            raise IsolationUnavailable("user namespaces are forbidden here")
        self.folder = folder

    def __call__(self, item: tuple[str, Any]) -> Any:
        order, value = item
        if order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "die once" and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "raise":
            raise InvalidJob(f"item {value} is malformed")
        if order == "raise unpicklable":
            raise type("Local", (Exception,), {})(f"item {value}")
        if order == "wait":
            while not (self.folder / "go on").exists():
                time.sleep(0.01)
        return value, self.node

    def describe(self) -> dict[str, Any]:
        return {"versions": {"work": (self.folder / "version").read_text()}}

    def facts(self) -> dict[str, Any]:
        return {"pid": os.getpid()}

    def close(self) -> None: ...


@pytest.fixture
def executor(two_nodes: Any, connection: None, tmp_path: Path) -> Iterator[Callable[..., RayExecutor[Any, Any]]]:
    import ray

    # The workers cannot import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (tmp_path / "version").write_text("1")
    started: list[RayExecutor[Any, Any]] = []

    def start(refusal: str = "") -> RayExecutor[Any, Any]:
        started.append(RayExecutor(partial(Obedient, refusal, tmp_path), two_nodes.address))
        return started[-1]

    yield start
    for one in started:
        one.close()


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it has not come about"
        time.sleep(0.02)


def both_nodes(executor: RayExecutor[Any, Any]) -> None:
    wait_for(lambda: len(executor.facts()["nodes"]) == 2)


def test_submissions_wait_while_enough_is_unfinished(executor, tmp_path):
    running = executor()
    both_nodes(running)
    futures: list[Any] = []
    total = 3 * running.ahead

    def submit_all() -> None:
        futures.extend(running.submit(("wait", number)) for number in range(total))

    def submitted() -> int:
        return len(running._open)

    producer = threading.Thread(target=submit_all)
    producer.start()
    wait_for(lambda: submitted() == running.ahead)
    time.sleep(1)
    assert submitted() == running.ahead  # nothing is worked off, so no more gets in
    (tmp_path / "go on").touch()
    producer.join(60)
    assert [future.result(60)[0] for future in futures] == list(range(total))
    assert len({future.result()[1] for future in futures}) == 2, "both nodes had their part"


def test_a_worker_that_dies_is_replaced_and_its_items_are_done_again(executor):
    running = executor()
    futures = [running.submit(("die once" if number == 40 else "return", number)) for number in range(100)]
    assert [future.result(60)[0] for future in futures] == list(range(100))
    assert running.facts()["lost_workers"] >= 1


def test_an_item_that_kills_its_worker_every_time_gets_an_error_and_the_others_their_results(executor):
    running = executor()
    futures = [running.submit(("die" if number == 7 else "return", number)) for number in range(60)]
    for number, future in enumerate(futures):
        if number == 7:
            with pytest.raises(WorkLost, match=f"has lost {ATTEMPTS} Ray workers"):
                future.result(120)
        else:
            assert future.result(120)[0] == number
    assert running.facts()["refused"] == {}


def test_errors_of_the_work_come_back_as_they_were(executor):
    running = executor()
    with pytest.raises(InvalidJob, match="item 3 is malformed"):
        running.submit(("raise", 3)).result(60)
    with pytest.raises(RuntimeError, match="Local: item 4"):
        running.submit(("raise unpicklable", 4)).result(60)


def test_a_node_that_cannot_do_the_work_is_left_out_and_named(executor, two_nodes, caplog):
    running = executor(two_nodes.second.node_id)
    wait_for(lambda: running.facts()["refused"])
    futures = [running.submit(("return", number)) for number in range(50)]
    assert len({future.result(60)[1] for future in futures}) == 1
    assert "user namespaces are forbidden here" in caplog.text
    assert list(running.facts()["refused"].values()) == ["user namespaces are forbidden here"]


def test_without_any_able_node_there_is_one_clear_error(executor):
    with pytest.raises(UsageError, match="no node of the Ray cluster can do the work: user namespaces are forbidden"):
        executor("all")


def test_a_worker_with_other_versions_is_left_out(executor, two_nodes, tmp_path):
    running = executor()
    both_nodes(running)
    two_nodes.kill()
    (tmp_path / "version").write_text("2")
    two_nodes.complete()
    wait_for(lambda: running.facts()["refused"])
    assert "versions: work is '2', elsewhere '1'" in next(iter(running.facts()["refused"].values()))
    assert running.submit(("return", 1)).result(60)[0] == 1


def test_closing_ends_what_waits_with_an_error(executor, tmp_path):
    running = executor()
    futures = [running.submit(("wait", number)) for number in range(20)]
    running.close()
    for future in futures:
        with pytest.raises(UsageError, match="closed"):
            future.result(10)
    with pytest.raises(UsageError, match="closed"):
        running.submit(("return", 1))


def test_any_text_survives_and_the_level_comes_from_the_node(two_nodes, connection):
    job = Job(id="\ud800", code="print(ascii(input()))", options=Options(stdin="\x00 \udc80 \u2028 x\n"))
    with Sandbox(1) as sandbox:
        here = sandbox.execute(job)
    with RaySandbox(1, "full", two_nodes.address) as spread:
        there = spread.execute(job)
    assert (there.id, there.verdict, there.stdout, there.message) == (here.id, here.verdict, here.stdout, here.message)
    assert there.isolation == here.isolation


def test_programs_of_a_benchmark_are_judged_on_the_nodes_with_the_verdicts_of_this_machine(
    two_nodes, ringlite, tmp_path
):
    stored = tmp_path / "stored.jsonl"
    with stored.open("w") as lines:
        for problem in load_problems(load_card("humaneval"), None)[:6]:
            right = f"```python\n{problem.gold['prompt']}{problem.gold['canonical_solution']}\n```"
            for index, text in enumerate((right, "```python\nraise SystemExit(3)\n```", "I do not know.")):
                sample = Sample("stored", "humaneval", problem.id, index, None, text, "stop")
                lines.write(json.dumps({"schema_version": 1, **asdict(sample)}) + "\n")
    ask = ("score", "--replay", stored, "--benchmarks", "humaneval", "--limit", 6, "-n", 3, "--out")
    assert ringlite(*ask, tmp_path / "local").returncode == 0
    done = ringlite(*ask, tmp_path / "ray", "--executor", "ray", "--ray-address", two_nodes.address)
    assert done.returncode == 0, done.stderr

    def verdicts(run: Path) -> list[Any]:
        return sorted((g.problem_id, g.index, g.scorer, g.correct, g.status, g.extracted) for g in read_grades(run))

    assert verdicts(tmp_path / "ray") == verdicts(tmp_path / "local")
    assert sum(correct for _, _, _, correct, _, _ in verdicts(tmp_path / "ray")) == 6
    (session,) = read_manifest(tmp_path / "ray")["sessions"]
    assert all(node["isolation"].startswith("full (") for node in session["grading"]["nodes"])


def test_an_unknown_level_is_refused_by_every_node(two_nodes, connection):
    with pytest.raises(UsageError, match="isolation: 'none' is unknown"):
        RaySandbox(1, "none", two_nodes.address)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--executor", "rai"), "unknown executor 'rai'; did you mean 'ray'?"),
        (("--ray-address", "local"), "--ray-address is for --executor ray"),
        (("--executor", "ray", "--ray-address", "127.0.0.1:1"), "no Ray cluster at --ray-address 127.0.0.1:1"),
        (("--executor", "ray", "--ray-address", "ray://head:10001"), "is a client's address"),
        (("--executor", "ray", "--ray-address", "nonsense"), "no Ray cluster at --ray-address nonsense"),
    ],
)
def test_what_is_wrong_with_the_options_is_said_in_a_sentence(ringlite, answers, tmp_path, arguments, message):
    done = ringlite("grade", "answers", answers(1), tmp_path / "out.jsonl", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'ringlite\[ray\]'"), connected("auto"):
        raise AssertionError("connected without the package")


def test_the_default_is_the_local_pool():
    assert not Choice().is_ray
