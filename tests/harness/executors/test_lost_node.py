"""Judging, grading and sampling on two real nodes, one of which dies in the middle: the results of the local pool."""

import asyncio
import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from harness.store import read_grades, read_manifest, read_samples

FULL = (pytest.mark.slow, pytest.mark.timeout(1500))  # the size that the project promises; CI runs a smaller one
MEASURED = ("cpu_s", "wall_s", "memory_mb", "retries")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def without_measures(result: Any) -> Any:
    if isinstance(result, dict):
        return {key: without_measures(value) for key, value in result.items() if key not in MEASURED}
    return [without_measures(item) for item in result] if isinstance(result, list) else result


@pytest.mark.parametrize("count", [400, pytest.param(2000, marks=FULL)])
def test_judging_loses_nothing_with_a_node(two_nodes, kill_in_the_middle, jobs, start, ringlite, tmp_path, count):
    source, local, spread = jobs(count), tmp_path / "local.jsonl", tmp_path / "ray.jsonl"
    assert ringlite("sandbox", "batch", source, local).returncode == 0
    ray = ("--executor", "ray", "--ray-address", two_nodes.address)
    command = start("sandbox", "batch", source, spread, *ray)
    kill_in_the_middle(command, spread, count // 20)
    assert command.wait(1200) == 0, (tmp_path / "process-0.log").read_text()
    print((tmp_path / "process-0.log").read_text())
    assert [result["id"] for result in lines(spread)] == [f"j{number}" for number in range(count)]
    assert without_measures(lines(spread)) == without_measures(lines(local))
    assert all(result["isolation"].startswith("full (") for result in lines(spread))
    assert len(Counter(result["verdict"] for result in lines(spread))) >= 4
    two_nodes.wait_until_idle()


@pytest.mark.parametrize("count", [2000, pytest.param(20000, marks=FULL)])
def test_grading_loses_nothing_with_a_node(two_nodes, kill_in_the_middle, answers, start, ringlite, tmp_path, count):
    source, local, spread = answers(count), tmp_path / "local.jsonl", tmp_path / "ray.jsonl"
    assert ringlite("grade", "answers", source, local).returncode == 0
    ray = ("--executor", "ray", "--ray-address", two_nodes.address)
    command = start("grade", "answers", source, spread, *ray)
    kill_in_the_middle(command, spread, count // 20)
    assert command.wait(1200) == 0, (tmp_path / "process-0.log").read_text()
    assert spread.read_bytes() == local.read_bytes()
    assert len(Counter((verdict["correct"], verdict["status"]) for verdict in lines(spread))) == 3


class SlowServer:
    """A real OpenAI-compatible server: every answer takes a while and says what was asked."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.asked: Counter[str] = Counter()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.url = asyncio.run_coroutine_threadsafe(self._serve(), self.loop).result(10)

    async def _serve(self) -> str:
        app = web.Application()
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}/v1"

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a-key"
        body = await request.json()
        question = body["messages"][-1]["content"]
        self.asked[f"{question} {body['seed']}"] += 1
        await asyncio.sleep(0.05)
        text = f"{question}: it is \\boxed{{12}}"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture
def server() -> Iterator[SlowServer]:
    server = SlowServer()
    yield server
    server.close()


def test_sampling_and_grading_a_run_lose_nothing_with_a_node(
    two_nodes, kill_in_the_middle: Callable[..., None], server, sums, start, ringlite, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    ray = ("--executor", "ray", "--ray-address", two_nodes.address)
    ask = ("score", "--base-url", server.url, "--benchmarks", sums, "--data", sums, "-n", 60, "--concurrency", 4)
    run = tmp_path / "run"
    command = start(*ask, "--out", run, *ray)
    kill_in_the_middle(command, run / "samples.jsonl", 100)
    assert command.wait(200) == 0, (tmp_path / "process-0.log").read_text()
    samples, grades = list(read_samples(run)), list(read_grades(run))
    keys = {(f"sum-{problem}", index) for problem in range(8) for index in range(60)}
    assert len(samples) == len(keys)
    assert {(sample.problem_id, sample.index) for sample in samples} == keys
    assert Counter((g.problem_id, g.index, g.scorer) for g in grades) == Counter(
        (*key, scorer) for key in keys for scorer in ("math-verify", "strict")
    )
    assert {g.problem_id for g in grades if g.correct and g.scorer == "strict"} == {"sum-3"}
    assert sum(server.asked.values()) < 2 * len(keys)  # what had been delivered was not drawn again
    (session,) = read_manifest(run)["sessions"]
    assert session["sampling"]["name"] == session["grading"]["name"] == "ray"
    assert "a-key" not in (run / "manifest.json").read_text()
    asked = sum(server.asked.values())
    done = ringlite(*ask, "--out", run)
    assert done.returncode == 0, done.stderr
    assert sum(server.asked.values()) == asked, "the same run under the local executor had nothing left to do"


def test_a_batch_whose_driver_is_killed_goes_on_locally(two_nodes, jobs, start, ringlite, tmp_path):
    source, out = jobs(400), tmp_path / "out.jsonl"
    command = start("sandbox", "batch", source, out, "--executor", "ray", "--ray-address", two_nodes.address)
    while not (out.exists() and out.read_bytes().count(b"\n") >= 20):
        assert command.poll() is None
    command.send_signal(signal.SIGKILL)
    command.wait()
    two_nodes.wait_until_idle()
    assert 20 <= out.read_bytes().count(b"\n") < 400
    assert ringlite("sandbox", "batch", source, out).returncode == 0
    assert [result["id"] for result in lines(out)] == [f"j{number}" for number in range(400)]
