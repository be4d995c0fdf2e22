"""Samples from any OpenAI-compatible server: vLLM, SGLang, llama.cpp, TGI, ``transformers serve``, hosted services.

One request a sample, many at once. Failures that pass (a server that restarts, 429, 5xx, cut replies) are tried again
after growing, jittered pauses or those that the server names; failures that stay (400, 401, 404, ...) end the run with
the server's own words. What has been yielded is stored, so the same command goes on from there.
"""

import asyncio
import dataclasses
import email.utils
import json
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from harness.backends.drawing import Drawing, drawn
from harness.backends.openai_wire import BadReply, Wire, error_message, needs_environment, normalise_base_url
from harness.errors import UsageError
from harness.types import Request, Sample, SamplingParams

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError, ConnectionError)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_RETRY_AFTER_S = 0.25, 30.0, 600.0
_SERVED_S = 60.0  # an attempt that lasted so long was being served when it broke off: the outage begins with its end


@dataclass(frozen=True)
class OpenAIOptions:
    """How the server is reached.

    Attributes:
        base_url: Address, with or without ``/v1``.
        model: Name of the model; None: the only one that the server lists.
        key_variable: Environment variable that holds the key; not set: no key is sent.
        concurrency: Requests in flight.
        timeout_s: Seconds that one response may take.
        retry_for_s: Seconds without any success after which a server counts as gone.
        max_attempts: Tries of one request that the server itself refuses with a passing error (5xx).
        extra_body: Fields added to every request, e.g. ``{"chat_template_kwargs": {"enable_thinking": true}}``.
    """

    base_url: str
    model: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    concurrency: int = 16
    timeout_s: float = 3600.0
    retry_for_s: float = 600.0
    max_attempts: int = 8
    extra_body: Mapping[str, Any] = field(default_factory=dict)


class OpenAIBackend:
    """See the module.

    Raises:
        UsageError: No server there, or which model is meant cannot be told.
    """

    name = "openai"
    seedable = False  # seeds are sent, and whether a server keeps to them cannot be known
    batch_size: int | None = None

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self._url = normalise_base_url(options.base_url)
        self._loop = asyncio.new_event_loop()
        try:
            listed = self._loop.run_until_complete(self._models())
            self._wire = Wire(_choose(options.model, listed, self._url), options.extra_body)
        except BaseException:
            self._loop.close()
            raise
        self._listing = next((item for item in listed if item.get("id") == self._wire.model), {})

    def describe(self) -> dict[str, Any]:
        """Model as the server names it; a server shows no weights, so there is no hash."""
        length = self._listing.get("max_model_len") or self._listing.get("context_length")
        return {
            "model": {"name": self._wire.model, "hash": None, "revision": None, "context_length": length},
            "engine": {
                "name": self.name,
                "version": None,
                "served_by": self._listing.get("owned_by"),
                "extra_body": dict(self._options.extra_body),
            },
            "host": {"base_url": self._url, "concurrency": self._options.concurrency},
        }

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        """Yields samples as they come; at most ``concurrency`` requests are unfinished at any time."""
        client = _Client(self._options, self._url, self._wire, benchmark, params)
        try:
            self._loop.run_until_complete(client.open())
            yield from drawn(self._loop, Drawing(client.sample, iter(requests)), self._options.concurrency)
        finally:
            self._loop.run_until_complete(client.close())
            self._wire = client.wire

    def close(self) -> None:
        """Closes the event loop."""
        self._loop.close()

    async def _models(self) -> list[dict[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=30, connect=10)
        headers = _headers(self._options.key_variable)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=True) as session:
            try:
                async with session.get(f"{self._url}/models") as reply:
                    body = await reply.read()
            except (*_LOST, aiohttp.ClientError) as error:
                raise UsageError(
                    f"no server answers at {self._url} ({_reason(error)}); start it, or name another with --base-url"
                ) from None
        if reply.status in (401, 403):
            raise UsageError(
                f"{self._url} refuses the key in {self._options.key_variable}: {error_message(reply.status, body)}"
            )
        try:
            data = json.loads(body)["data"] if reply.status == 200 else []
            return [item for item in data if isinstance(item, dict)]
        except (ValueError, LookupError, TypeError):
            return []


class _Client:
    """The connections of one ``generate``; everything here lives in one event loop."""

    def __init__(self, options: OpenAIOptions, url: str, wire: Wire, benchmark: str, params: SamplingParams) -> None:
        self.options, self.url, self.wire, self.benchmark, self.params = options, url, wire, benchmark, params
        self.last_success = time.monotonic()
        self.session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Opens the connections' pool."""
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=self.options.timeout_s, connect=30),
            headers=_headers(self.options.key_variable),
            # aiohttp would look for a proxy and a password again at every request, each in a thread.
            trust_env=needs_environment(self.url),
        )

    async def close(self) -> None:
        """Closes the connections."""
        if self.session is not None:
            await self.session.close()

    async def sample(self, request: Request) -> Sample:
        """Asks until the server has answered.

        Raises:
            UsageError: It has failed for good.
        """
        assert self.session is not None
        url = self.url + self.wire.path(request)
        refusals = attempts = 0
        failing_since: float | None = None
        while True:
            attempts += 1
            started = time.monotonic()
            pause = 0.0
            try:
                async with self.session.post(url, data=self.wire.body(request, self.params)) as reply:
                    body = await reply.read()
                if reply.status == 200:
                    sample = self.wire.sample(self.benchmark, request, self.params, body, attempts)
                    self.last_success = time.monotonic()
                    return sample
                reason = error_message(reply.status, body)
                if reply.status not in _PASSING:
                    if self._adapts(reply.status, reason):
                        continue
                    raise UsageError(f"the server at {url} refuses the request for {request.problem_id}: {reason}")
                refusals += reply.status not in (429, 503)
                pause = _retry_after(reply.headers.get("Retry-After"))
            except _LOST as error:
                reason = _reason(error)
                # A response that outlasts --timeout will do so again; a lost connection says nothing of the request.
                refusals += isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError)
            except BadReply as error:
                reason, refusals = str(error), refusals + 1
            if failing_since is None or time.monotonic() - started > _SERVED_S:
                failing_since = time.monotonic()
            silent_s = time.monotonic() - max(failing_since, self.last_success)
            if refusals >= self.options.max_attempts or silent_s > self.options.retry_for_s:
                raise UsageError(
                    f"the server at {url} does not answer the request for {request.problem_id} ({attempts} attempts, "
                    f"last: {reason}); what is stored is kept, and the same command goes on from there"
                )
            growing = min(_FIRST_PAUSE_S * 2 ** min(attempts - 1, 10), _LONGEST_PAUSE_S)
            await asyncio.sleep(max(pause, growing * random.uniform(0.5, 1.0)))

    def _adapts(self, status: int, reason: str) -> bool:
        """Some servers take the token cap under its new name only, and say so."""
        if status != 400 or "max_completion_tokens" not in reason or self.wire.token_field == "max_completion_tokens":
            return False
        self.wire = dataclasses.replace(self.wire, token_field="max_completion_tokens")
        return True


def _headers(key_variable: str) -> dict[str, str]:
    key = os.environ.get(key_variable, "").strip()
    return {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _retry_after(value: str | None) -> float:
    """Seconds that a ``Retry-After`` header asks for (a number or a date); 0 without one."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if seconds == seconds else 0.0


def _choose(model: str | None, listed: Sequence[Mapping[str, Any]], url: str) -> str:
    names = [str(item["id"]) for item in listed if "id" in item]
    if model is not None:
        return model
    if len(names) == 1:
        return names[0]
    known = f"it lists {', '.join(names[:8])}" if names else "it lists none"
    raise UsageError(f"which model of {url} is meant? Name it with --model ({known})")
