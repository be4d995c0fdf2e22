"""Against ``transformers serve``, which dies in the middle, and a client that does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store import read_grades, read_samples


class TransformersServe:
    """``transformers serve`` on a port of its own; may be killed and started again."""

    def __init__(self, model: Path, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._model, self._log = model, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve"]
        command += [str(self._model), "--host", "127.0.0.1", "--port", str(self.port), "--device", "cpu"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            )

    def wait(self) -> None:
        for _ in range(600):
            assert self.process is not None
            assert self.process.poll() is None, self._log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(self._log.read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def transformers_serve(tiny_model: Path, tmp_path: Path) -> Iterator[TransformersServe]:
    server = TransformersServe(tiny_model, tmp_path / "serve.log")
    yield server
    server.kill()


def stored(folder: Path) -> int:
    path = folder / "samples.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_real_server_that_dies_in_the_middle_and_comes_back(transformers_serve, tiny_model, sums, start, tmp_path):
    server = transformers_serve
    server.start()
    server.wait()
    run = tmp_path / "run"
    client = start(
        "score", "--base-url", f"127.0.0.1:{server.port}", "--model", tiny_model, "--benchmarks", sums / "card.yaml",
        "--data", sums, "-n", 24, "--concurrency", 3, "--out", run, "--seed", 4,
    )  # fmt: skip
    for killed_at in (5, 60):
        while stored(run) < killed_at:
            assert client.poll() is None, (tmp_path / "process-0.log").read_text()
            time.sleep(0.01)
        server.kill()
        held = stored(run)
        time.sleep(1.0)  # long enough for connections to be refused
        assert client.poll() is None
        assert stored(run) <= held + 3  # answers that were on their way
        server.start()
        server.wait()
    assert client.wait(240) == 0, (tmp_path / "process-0.log").read_text()
    samples = list(read_samples(run))
    assert stored(run) == len(samples) == 8 * 24
    assert {(s.problem_id, s.index) for s in samples} == {(f"sum-{i}", j) for i in range(8) for j in range(24)}
    assert len({s.response for s in samples}) > 100
    assert any("attempts" in s.metadata for s in samples)
    assert all(s.completion_tokens and s.prompt_tokens for s in samples)
    assert len(list(read_grades(run))) == 2 * 8 * 24
    results = json.loads((run / "results.json").read_text())
    assert results["benchmarks"][0]["samples"] == 8 * 24
    assert results["engine"]["name"] == "openai"


def test_a_client_killed_beside_a_real_server_asks_for_nothing_twice(
    transformers_serve, tiny_model, sums, start, tmp_path
):
    server = transformers_serve
    server.start()
    server.wait()
    run = tmp_path / "run"
    arguments = [
        "score", "--base-url", f"127.0.0.1:{server.port}", "--model", tiny_model, "--benchmarks", sums / "card.yaml",
        "--data", sums, "-n", 10, "--concurrency", 2, "--out", run,
    ]  # fmt: skip
    client = start(*arguments)
    while stored(run) < 20:
        assert client.poll() is None, (tmp_path / "process-0.log").read_text()
        time.sleep(0.01)
    client.kill()
    client.wait()
    before = list(read_samples(run))
    assert start(*arguments).wait(240) == 0, (tmp_path / "process-1.log").read_text()
    after = list(read_samples(run))
    assert after[: len(before)] == before
    assert len(after) == len({(s.problem_id, s.index) for s in after}) == 80
    lines = (run / "grades.jsonl").read_bytes().count(b"\n")
    assert lines == len(list(read_grades(run))) == 160
