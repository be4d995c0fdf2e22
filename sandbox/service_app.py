"""The HTTP service itself: a Starlette application over one ``Sandbox``."""

import asyncio
import contextlib
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from io import BytesIO
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import Sandbox
from sandbox.batch import Line, execute_safely, read_job, read_lines
from sandbox.batch_store import dump_line
from sandbox.errors import InvalidJob, SandboxError
from sandbox.job import Job, Result, parse_job
from sandbox.service import ServiceSettings, is_loopback
from sandbox.service_gate import Busy, Gate, Work
from sandbox.service_metrics import CONTENT_TYPE, Metrics
from sandbox.service_openapi import describe

_PARSE_INLINE_BYTES = 64 << 10
_LINGER_S = 5.0
_CLIENT_GONE = 499  # nginx' number; the client never sees it, the metrics do


class _Service:
    """The end points, over one sandbox."""

    def __init__(self, sandbox: Sandbox, settings: ServiceSettings) -> None:
        self.sandbox = sandbox
        self.settings = settings
        self.gate = Gate(sandbox.workers, settings.queue, settings.max_pending_bytes)
        self.metrics = Metrics(self.gate)

    async def execute(self, request: Request) -> Response:
        """One job in, its result out."""
        with contextlib.ExitStack() as held:
            body = await self._body(request, held)
            job = await _off_loop(len(body), partial(_parse, body))
            held.enter_context(self.gate.place())
            begun = asyncio.get_running_loop().time()
            work = self.gate.submit(partial(self._judge, job))
            answer = await _unless_client_leaves(request, work)
            if answer is None:
                self.metrics.abandoned.inc()
                # A job that already runs keeps its place until its worker is free again.
                await asyncio.wait([work.done])
                return Response(status_code=_CLIENT_GONE)
            self.metrics.latency.observe(asyncio.get_running_loop().time() - begun)
            return Response(answer, media_type="application/json")

    async def batch(self, request: Request) -> Response:
        """A job a line in, a result a line out, streamed in the order of the input."""
        held = contextlib.ExitStack()
        try:
            body = await self._body(request, held)
            held.enter_context(self.gate.place())
        except BaseException:
            held.close()
            raise
        return StreamingResponse(self._results(body, held), media_type="application/x-ndjson")

    async def _results(self, body: bytes, held: contextlib.ExitStack) -> AsyncIterator[bytes]:
        window: deque[Work[bytes]] = deque()
        with held:
            try:
                for line in read_lines(BytesIO(body), self.settings.max_body_bytes):
                    window.append(self.gate.submit(partial(self._judge_line, line)))
                    if len(window) > self.gate.workers:
                        yield await window.popleft().done
                while window:
                    yield await window.popleft().done
            finally:
                for work in window:
                    work.drop()

    def _judge_line(self, line: Line) -> bytes:
        job = read_job(line)
        if isinstance(job, Result):
            return dump_line(job)
        try:
            return self._judge(job)
        except (InvalidJob, SandboxError) as error:
            return dump_line(Result(id=job.id, verdict="refused", message=f"line {line.number}: {error}"))

    def _judge(self, job: Job) -> bytes:
        result = execute_safely(self.sandbox, job)
        self.metrics.count(job, result)
        return dump_line(result)

    async def _body(self, request: Request, held: contextlib.ExitStack) -> bytes:
        """The body, within the limits on its size, its time and the memory of all bodies together."""
        limit = self.settings.max_body_bytes
        announced = request.headers.get("content-length", "")
        body = bytearray()
        if not announced.isdigit() or int(announced) <= limit:
            try:
                async with asyncio.timeout(self.settings.body_timeout_s):
                    async for chunk in request.stream():
                        self.gate.hold_bytes(len(chunk))
                        held.callback(self.gate.hold_bytes, -len(chunk))
                        body += chunk
                        if len(body) > limit:
                            break
                    else:
                        return bytes(body)
            except TimeoutError:
                raise HTTPException(408, f"the body did not arrive within {self.settings.body_timeout_s:g} s") from None
        await _drain(request)
        raise HTTPException(413, f"the body is larger than the {limit} bytes that this service accepts")

    async def health(self, request: Request) -> Response:
        """Liveness and load."""
        gate = self.gate
        return JSONResponse(
            {
                "status": "ok",
                "workers": gate.workers,
                "running": gate.running,
                "waiting": gate.waiting,
                "capacity": gate.capacity,
                "isolation": self.settings.isolation,
            }
        )

    async def render_metrics(self, request: Request) -> Response:
        """Prometheus text format."""
        return Response(self.metrics.render(), headers={"content-type": CONTENT_TYPE})


def _parse(body: bytes) -> Job:
    try:
        data = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidJob(f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidJob("the JSON of the body is nested too deeply") from None
    except ValueError as error:
        raise InvalidJob(f"the body is not JSON: {error}") from None
    try:
        return parse_job(data)
    except RecursionError:
        raise InvalidJob("the job is nested too deeply") from None


async def _off_loop(size: int, work: Callable[[], Job]) -> Job:
    """Runs ``work`` here if it is short and on a thread if it would hold up the event loop."""
    return work() if size <= _PARSE_INLINE_BYTES else await asyncio.to_thread(work)


async def _drain(request: Request) -> None:
    """Reads on for a moment, so that a client that is still sending sees the answer and not a reset connection."""
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in request.stream():
                pass


async def _unless_client_leaves(request: Request, work: Work[bytes]) -> bytes | None:
    """The answer, or None as soon as the client has closed the connection; waiting work is then dropped."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watcher = asyncio.create_task(gone())
    try:
        await asyncio.wait((work.done, watcher), return_when=asyncio.FIRST_COMPLETED)
        if work.done.done():
            return work.done.result()
        work.drop()
        return None
    finally:
        watcher.cancel()


class _Guard:
    """Checks the bearer token, or on loopback without one that no web page is behind the request; counts answers."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app = app
        self._token = settings.token.get_secret_value().encode() if settings.token else None
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(path, str(message["status"])).inc()
            await send(message)

        headers = dict(scope["headers"])
        refusal = None if path == "/health" else self._refusal(headers)
        await (refusal or self._app)(scope, receive, counted)

    def _refusal(self, headers: dict[bytes, bytes]) -> Response | None:
        if self._token is not None:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
                return None
            text = "send the header 'Authorization: Bearer <token>' with the token of this service"
            return _error(401, text, {"www-authenticate": "Bearer"})
        host = headers.get(b"host", b"").decode("latin-1")
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if b"origin" in headers or not is_loopback(name):
            return _error(403, "a service without a token answers only programs on this machine, not web pages")
        return None


def _error(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _handlers() -> dict[Any, Handler]:
    async def http(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        return _error(status, str(getattr(error, "detail", error)), getattr(error, "headers", None))

    async def busy(request: Request, error: Exception) -> Response:
        seconds = getattr(error, "retry_after_s", 1)
        return _error(429, f"the queue is full; try again in {seconds} s", {"retry-after": str(seconds)})

    async def invalid(request: Request, error: Exception) -> Response:
        return _error(422, str(error))

    async def unavailable(request: Request, error: Exception) -> Response:
        return _error(503, str(error))

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=_CLIENT_GONE)

    return {
        HTTPException: http,
        Busy: busy,
        InvalidJob: invalid,
        SandboxError: unavailable,
        ClientDisconnect: gone,
    }


def create_app(sandbox: Sandbox, settings: ServiceSettings) -> ASGIApp:
    """The application; ``sandbox`` is started and outlives it."""
    service = _Service(sandbox, settings)
    description = describe(token_required=settings.token is not None)

    async def openapi(request: Request) -> Response:
        return JSONResponse(description)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.gate.close)

    routes = [
        Route("/v1/execute", service.execute, methods=["POST"]),
        Route("/v1/batch", service.batch, methods=["POST"]),
        Route("/health", service.health),
        Route("/metrics", service.render_metrics),
        Route("/openapi.json", openapi),
    ]
    app = Starlette(routes=routes, exception_handlers=_handlers(), lifespan=lifespan)
    return _Guard(app, settings, service.metrics, frozenset(route.path for route in routes))
