"""The HTTP service as a process of its own: answers, limits, back-pressure, and its end."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.perf.sandbox_soak import soak
from sandbox.job import Result

ADD = "a, b = map(int, input().split())\nprint(a + b)\n"
TOKEN = "an-unguessable-word"


class Service:
    """A running ``ringlite sandbox serve`` and a client for it."""

    def __init__(self, *options: str, token: str | None = None) -> None:
        environment = {**os.environ, **({"RINGLITE_SANDBOX_TOKEN": token} if token else {})}
        command = [sys.executable, "-m", "ringlite", "sandbox", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        line = self.process.stderr.readline()
        match = re.search(r"http://\S+", line)
        assert match, line + self.process.stderr.read()
        self.url = match[0]
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def execute(self, job: Any) -> httpx.Response:
        return self.client.post("/v1/execute", json=job)

    def health(self) -> dict[str, Any]:
        return dict(self.client.get("/health").json())

    def until(self, **state: int) -> None:
        """Waits until ``/health`` shows ``state``."""
        deadline = time.monotonic() + 30
        while not state.items() <= self.health().items():
            assert time.monotonic() < deadline, self.health()
            time.sleep(0.02)

    def metric(self, name: str) -> float:
        text = self.client.get("/metrics").text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))

    def stop(self) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(60)
        self.process.kill()
        return self.process.wait()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    started = Service("--workers", "2", "--queue", "8", "--max-body-mb", "1")
    yield started
    assert started.stop() == 0


def sleeper(seconds: float, name: str = "") -> dict[str, Any]:
    return {"id": name, "code": f"import time; time.sleep({seconds}); print({name!r})", "limits": {"wall_s": 60}}


def test_a_job_is_answered_with_its_result(service: Service) -> None:
    job = {"id": "a", "mode": "judge", "code": ADD, "tests": [{"stdin": "1 2", "expected": "3"}]}
    answer = service.execute(job)
    assert answer.status_code == 200
    result = Result.model_validate(answer.json())
    assert (result.id, result.verdict) == ("a", "accepted")
    assert result.isolation.startswith("full (")
    assert service.execute({**job, "code": "print(4)"}).json()["verdict"] == "wrong_answer"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "UTF-8"),
        (b"[]", "should be"),
        (b'{"mode": "run"}', "code"),
        (b'{"code": "1", "mode": "judge"}', "needs tests"),
        (b'{"code": "1", "limits": {"memory_mb": 1}}', "limits.memory_mb"),
        (b'{"code": "1", "extra": 1}', "extra"),
        (b"[" * 100_000, "nested"),
    ],
)
def test_malformed_jobs_are_422_with_one_sentence(service: Service, body: bytes, words: str) -> None:
    answer = service.client.post("/v1/execute", content=body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_bodies_above_the_limit_are_413_announced_or_not(service: Service) -> None:
    big = json.dumps({"code": "#" * (2 << 20)}).encode()
    assert service.client.post("/v1/execute", content=big).status_code == 413
    chunks = (big[start : start + 65536] for start in range(0, len(big), 65536))
    assert service.client.post("/v1/execute", content=chunks).status_code == 413
    near = json.dumps({"code": "#" * ((1 << 20) - 100)}).encode()
    assert service.client.post("/v1/execute", content=near).json()["verdict"] == "accepted"


def test_unknown_paths_and_methods(service: Service) -> None:
    assert service.client.get("/v1/execute").status_code == 405
    assert service.client.get("/nothing").status_code == 404
    assert "error" in service.client.get("/nothing").json()


def test_a_web_page_cannot_use_a_service_without_a_token(service: Service) -> None:
    for headers in ({"origin": "https://example.com"}, {"host": "rebound.example.com"}):
        assert service.client.post("/v1/execute", json={"code": "1"}, headers=headers).status_code == 403


def test_batches_stream_in_order_and_refuse_single_lines(service: Service) -> None:
    lines = [json.dumps({"id": str(n), "code": f"print({n})"}) for n in range(20)]
    lines.insert(3, "{broken")
    answer = service.client.post("/v1/batch", content="\n".join(lines).encode())
    results = [Result.model_validate(json.loads(line)) for line in answer.text.splitlines()]
    assert [r.id for r in results] == ["0", "1", "2", "", *map(str, range(3, 20))]
    assert results[3].verdict == "refused"
    assert [r.stdout for r in results if r.id] == [f"{n}\n" for n in range(20)]


def test_the_description_is_openapi_3_1_and_covers_every_route(service: Service) -> None:
    import jsonschema
    from jsonschema.validators import Draft202012Validator

    description = service.client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    assert set(description["paths"]) == {"/v1/execute", "/v1/batch", "/health", "/metrics", "/openapi.json"}
    for schema in description["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(description)
    for reference in set(re.findall(r'"#/components/schemas/(\w+)"', text)):
        assert reference in description["components"]["schemas"]
    job = {"mode": "judge", "code": ADD, "tests": [{"stdin": "1 2", "expected": "3"}]}

    def check(data: Any, name: str) -> None:
        jsonschema.validate(data, {"$ref": f"#/components/schemas/{name}", **description})

    check(job, "Job")
    check(service.execute(job).json(), "Result")
    with pytest.raises(jsonschema.ValidationError):
        check({**job, "mode": "guess"}, "Job")


def test_metrics_count_jobs_by_verdict(service: Service) -> None:
    before = service.metric("ringlite_sandbox_jobs_total")
    service.execute({"code": "print(1)"})
    service.execute({"code": "1/0"})
    assert service.metric("ringlite_sandbox_jobs_total") == before + 2
    text = service.client.get("/metrics").text
    assert 'verdict="runtime_error"' in text
    assert "ringlite_sandbox_job_seconds_bucket" in text
    assert "process_resident_memory_bytes" in text


def test_requests_above_the_queue_are_429_and_the_accepted_ones_are_all_answered(service: Service) -> None:
    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(base_url=service.url, timeout=60, limits=limits) as client:
            jobs = [client.post("/v1/execute", json=sleeper(0.5, str(number))) for number in range(30)]
            return await asyncio.gather(*jobs)

    answers = asyncio.run(flood())
    accepted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(accepted) + len(refused) == 30
    assert len(accepted) >= 10
    assert refused
    for answer in accepted:
        assert answer.json()["stdout"] == answer.json()["id"] + "\n"
    for answer in refused:
        assert int(answer.headers["retry-after"]) >= 1
    service.until(running=0, waiting=0)
    assert service.execute({"code": "print(1)"}).status_code == 200


def test_health_answers_while_all_workers_are_busy(service: Service) -> None:
    async def busy() -> float:
        async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
            jobs = [asyncio.create_task(client.post("/v1/execute", json=sleeper(1))) for _ in range(4)]
            await asyncio.sleep(0.2)
            begun = time.monotonic()
            assert (await client.get("/health")).json()["running"] == 2
            assert not any(job.done() for job in jobs)
            await asyncio.gather(*jobs)
            return time.monotonic() - begun

    assert asyncio.run(busy()) > 0


def test_waiting_jobs_of_clients_that_left_are_dropped(service: Service) -> None:
    before = service.metric("ringlite_sandbox_jobs_total")
    abandoned = service.metric("ringlite_sandbox_abandoned_total")
    host, port = service.url.removeprefix("http://").split(":")
    body = json.dumps(sleeper(0.7)).encode()
    connections = []
    for _ in range(6):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(
            b"POST /v1/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        connections.append(connection)
    service.until(running=2, waiting=4)
    for connection in connections:
        connection.close()
    service.until(running=0, waiting=0)
    assert service.metric("ringlite_sandbox_jobs_total") == before + 2
    assert service.metric("ringlite_sandbox_abandoned_total") == abandoned + 6


def test_a_token_is_required_and_compared(tmp_path: Path) -> None:
    service = Service("--workers", "1", token=TOKEN)
    try:
        assert service.execute({"code": "print(1)"}).status_code == 200
        for value in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00fc"):
            headers = {"authorization": value.encode()}
            for path in ("/metrics", "/openapi.json", "/v1/execute", "/nothing"):
                answer = httpx.get(service.url + path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        assert httpx.get(service.url + "/health").status_code == 200
        assert "securitySchemes" in service.client.get("/openapi.json").json()["components"]
    finally:
        assert service.stop() == 0


def test_a_service_for_other_machines_does_not_start_without_a_token(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "RINGLITE_SANDBOX_TOKEN"}
    command = [sys.executable, "-m", "ringlite", "sandbox", "serve", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "needs a token" in done.stderr
    (tmp_path / "empty").write_text("\n")
    done = subprocess.run(
        [*command, "--token-file", str(tmp_path / "empty")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "one word" in done.stderr


def test_a_taken_port_is_said_in_one_sentence(service: Service) -> None:
    port = service.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "ringlite", "sandbox", "serve", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_finishes_what_was_accepted() -> None:
    service = Service("--workers", "1", "--queue", "4")

    async def stop_in_the_middle() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
            jobs = [asyncio.create_task(client.post("/v1/execute", json=sleeper(0.5, str(n)))) for n in range(4)]
            while (await client.get("/health")).json()["waiting"] < 3:
                await asyncio.sleep(0.02)
            service.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*jobs)
            with pytest.raises(httpx.TransportError):
                await httpx.AsyncClient().post(service.url + "/v1/execute", json={"code": "1"})
            return answers

    answers = asyncio.run(stop_in_the_middle())
    assert [answer.json()["stdout"] for answer in answers] == ["0\n", "1\n", "2\n", "3\n"]
    assert service.stop() == 0


def test_sigkill_leaves_no_process_behind() -> None:
    service = Service("--workers", "2")
    assert service.execute({"code": "print(1)"}).status_code == 200
    workers = psutil.Process(service.process.pid).children(recursive=True)
    assert workers
    service.process.kill()
    service.process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_sixty_four_clients_for_a_few_seconds() -> None:
    service = Service("--workers", "2", "--queue", "40")
    try:
        report = asyncio.run(soak(service.url, service.process.pid, clients=64, seconds=4))
    finally:
        assert service.stop() == 0
    assert report["wrong"] == 0
    assert report["lost"] == 0
    assert report["answered"] > 64
    assert report["refused_429"] > 0
