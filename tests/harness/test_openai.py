"""Against a real server that answers from a script of faults."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from harness.backends.openai import OpenAIBackend, OpenAIOptions
from harness.backends.openai_wire import Wire, error_message, normalise_base_url
from harness.errors import UsageError
from harness.types import Request, Sample, SamplingParams

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def request(index: int = 0, style: str = "chat") -> Request:
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Question {index}?"})
    return Request("t", f"p{index}", 0, 100 + index, messages if style == "chat" else messages[1:], style)  # type: ignore[arg-type]


def completion(text: str | None = "four", reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text, **message}}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}


class Server:
    """A real HTTP server in a thread; ``handler`` answers every completion."""

    def __init__(self, handler: Handler, models: Any = ({"id": "m", "max_model_len": 4096},)) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self._handler, self._models = handler, models
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)

    async def _serve(self) -> int:
        app = web.Application()
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/{kind:.*completions}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def _list(self, request: web.Request) -> web.Response:
        if self._models is None:
            return web.Response(status=404)
        return web.json_response({"data": list(self._models)})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("Authorization"))
        return await self._handler(request, body)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(handler: Handler, **options: Any) -> Server:
        servers.append(Server(handler, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def draw(server: Server, requests: list[Request], params: SamplingParams | None = None, **options: Any) -> list[Sample]:
    backend = OpenAIBackend(OpenAIOptions(f"127.0.0.1:{server.port}", **options))
    try:
        return list(backend.generate("b", requests, params or SamplingParams()))
    finally:
        backend.close()


async def fine(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(completion())


def test_what_is_sent_and_what_comes_back(serve, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    server = serve(fine)
    params = SamplingParams(0.7, 0.9, 20, 55, ("END",))
    samples = draw(server, [request()], params, key_variable="MY_KEY", extra_body={"min_p": 0.1})
    assert samples == [Sample("t", "b", "p0", 0, 100, "four", "stop", 9, 2)]
    assert server.bodies == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Question 0?"}],
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 20,
            "max_tokens": 55,
            "stop": ["END"],
            "seed": 100,
            "n": 1,
            "stream": False,
            "min_p": 0.1,
        }
    ]
    assert server.keys == ["Bearer s3cret"]


def test_completions_take_the_bare_prompt(serve):
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        assert request.path == "/v1/completions"
        return web.json_response({"choices": [{"text": " four\nEND more", "finish_reason": "length"}]})

    server = serve(answer)
    sample = draw(server, [request(style="completion")], SamplingParams(stop=("END",), max_tokens=None))[0]
    assert (sample.response, sample.finish_reason, sample.completion_tokens) == (" four\n", "stop", None)
    assert server.bodies[0]["prompt"] == "Question 0?"
    assert "max_tokens" not in server.bodies[0]
    assert server.keys == [None] or os.environ.get("OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("reply", "response", "finish"),
    [
        (completion("4", reasoning_content="2+2"), "<think>\n2+2\n</think>\n\n4", "stop"),
        (completion("4", reasoning="2+2"), "<think>\n2+2\n</think>\n\n4", "stop"),
        (completion("", "length", reasoning_content="2+"), "<think>\n2+", "length"),
        (completion(None, "length", reasoning_content="2+"), "<think>\n2+", "length"),
        (completion(None, "content_filter"), "", "unknown"),
        (completion(None, "stop", refusal="I will not."), "I will not.", "stop"),
        (completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab", "stop"),
        (completion("4", None), "4", "unknown"),
        (completion("a\ud800\0b"), "a\ud800\0b", "stop"),
    ],
)
def test_replies_of_all_kinds(reply, response, finish):
    sample = Wire("m", {}).sample("b", request(), SamplingParams(), json.dumps(reply).encode(), 1)
    assert (sample.response, sample.finish_reason) == (response, finish)


def test_passing_failures_are_tried_again_until_they_pass(serve):
    seen: dict[int, int] = {}

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        seed = body["seed"]
        seen[seed] = seen.get(seed, 0) + 1
        if seen[seed] > 1:
            return web.json_response(completion(f"answer {seed}"))
        fault = seed % 7
        if fault == 0:
            return web.Response(status=429, headers={"Retry-After": "0.3"})
        if fault == 1:
            return web.json_response({"error": {"message": "busy"}}, status=503)
        if fault == 2:
            return web.Response(text="<html>not JSON")
        if fault == 3:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault == 4:
            cut = web.StreamResponse(headers={"Content-Length": "4000"})
            await cut.prepare(request)
            await cut.write(b'{"choices": [')
            assert request.transport is not None
            request.transport.abort()
            return cut
        if fault == 5:
            return web.json_response({"choices": []})
        return web.Response(status=500, text="worker died")

    server = serve(answer)
    requests = [request(i) for i in range(28)]
    samples = draw(server, requests, concurrency=5)
    assert sorted(s.problem_id for s in samples) == sorted(r.problem_id for r in requests)
    assert all(s.response == f"answer {s.seed}" and s.metadata == {"attempts": 2} for s in samples)
    assert seen == {100 + i: 2 for i in range(28)}


def test_a_pause_that_the_server_names_is_kept(serve):
    times: list[float] = []

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        times.append(time.monotonic())
        if len(times) == 1:
            return web.Response(status=429, headers={"Retry-After": "1.5"})
        return web.json_response(completion())

    draw(serve(answer), [request()])
    assert times[1] - times[0] >= 1.5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refusals_that_stay_end_the_run_with_the_servers_words(serve, status):
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["seed"] == 100:
            return web.json_response(completion())
        await asyncio.sleep(0.3)
        return web.json_response({"error": {"message": "the model\ndoes not exist"}}, status=status)

    server = serve(answer)
    backend = OpenAIBackend(OpenAIOptions(f"127.0.0.1:{server.port}", concurrency=2))
    drawn: list[Sample] = []
    with pytest.raises(UsageError, match=rf"refuses the request for p\d: HTTP {status}: the model does not exist"):
        drawn.extend(backend.generate("b", [request(i) for i in range(3)], SamplingParams()))
    assert len(server.bodies) <= 4
    backend.close()


def test_a_server_that_fails_for_ever_is_given_up(serve):
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"detail": "out of memory"}, status=500)

    server = serve(answer)
    with pytest.raises(UsageError, match=r"3 attempts, last: HTTP 500: out of memory\); what is stored is kept"):
        draw(server, [request()], max_attempts=3)


def test_the_other_name_of_the_token_cap_is_learned_once(serve):
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "max_tokens" in body:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return web.json_response({"error": {"message": message}}, status=400)
        return web.json_response(completion())

    server = serve(answer)
    assert len(draw(server, [request(i) for i in range(6)], concurrency=1)) == 6
    assert [("max_tokens" in body) for body in server.bodies] == [True] + [False] * 6


def test_no_more_requests_are_open_than_asked(serve):
    running = peak = 0

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.02)
        running -= 1
        return web.json_response(completion())

    server = serve(answer)
    assert len(draw(server, [request(i) for i in range(40)], concurrency=7)) == 40
    assert peak == 7


def test_which_model_is_meant(serve):
    assert draw(serve(fine, models=[{"id": "only"}]), [request()])
    for models, told in (([{"id": "a"}, {"id": "b"}], "it lists a, b"), (None, "it lists none"), ([], "it lists none")):
        server = serve(fine, models=models)
        with pytest.raises(UsageError, match=rf"which model of .* --model \({told}\)"):
            draw(server, [request()])
        assert draw(server, [request()], model="named")
        assert server.bodies[-1]["model"] == "named"


def test_the_description_has_the_name_and_no_key(serve, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    backend = OpenAIBackend(OpenAIOptions(f"http://127.0.0.1:{serve(fine).port}/v1/"))
    described = backend.describe()
    backend.close()
    assert described["model"] == {"name": "m", "hash": None, "revision": None, "context_length": 4096}
    assert "s3cret" not in json.dumps(described)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://host/api/v2/completions", "https://host/api/v2"),
        (" http://[::1]:80/v1 ", "http://[::1]:80/v1"),
    ],
)
def test_addresses_as_people_type_them(typed, meant):
    assert normalise_base_url(typed) == meant


@pytest.mark.parametrize("typed", ["", "ftp://host", "http://", "http://host:99999", "http://host:x"])
def test_what_is_no_address_is_told(typed):
    with pytest.raises(UsageError, match="is not the address of a server"):
        normalise_base_url(typed)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": {"message": "a\\n b"}}', "HTTP 400: a b"),
        (b'{"error": "plain"}', "HTTP 400: plain"),
        (b'{"detail": "fastapi"}', "HTTP 400: fastapi"),
        (b'{"object": "error", "message": "vllm"}', "HTTP 400: vllm"),
        (b"[1]", "HTTP 400: [1]"),
        (b"\xff<html>", "HTTP 400: \ufffd<html>"),
        (b"", "HTTP 400: no message"),
    ],
)
def test_messages_of_servers(body, told):
    assert error_message(400, body) == told
