"""The OpenAI wire format: address, request body, and what a reply says; no network here."""

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness import json_text
from harness.errors import UsageError
from harness.types import Request, Sample, SamplingParams

_ENDPOINTS = ("/chat/completions", "/completions", "/models")
_FINISH: dict[str, Literal["stop", "length"]] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
}


class BadReply(Exception):
    """The server answered 200 with something that is no completion; worth another try."""


def normalise_base_url(text: str) -> str:
    """Turns what people type (``localhost:8000``, ``https://host/v1/``, a whole endpoint) into ``scheme://host/path``.

    Raises:
        UsageError: It is no web address.
    """
    url = text.strip()
    if "://" not in url:
        url = f"http://{url}"
    parts = urllib.parse.urlsplit(url)
    try:
        port_is_valid = parts.port != 0
    except ValueError:
        port_is_valid = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise UsageError(f"'{text}' is not the address of a server; an example: http://localhost:8000/v1")
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        path = path.removesuffix(endpoint).rstrip("/")
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", ""))


def needs_environment(url: str) -> bool:
    """Whether the environment has a proxy for an address, or the user a netrc file that may hold its password."""
    parts = urllib.parse.urlsplit(url)
    proxied = parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname or "")
    return proxied or Path(os.environ.get("NETRC") or "~/.netrc").expanduser().exists()


@dataclass(frozen=True)
class Wire:
    """How this server wants its requests.

    Attributes:
        model: Name sent as ``model``.
        extra: Fields added to every body (``--extra-body``).
        token_field: Name of the token cap; some servers take ``max_completion_tokens`` only.
    """

    model: str
    extra: Mapping[str, Any]
    token_field: str = "max_tokens"

    def path(self, request: Request) -> str:
        """Endpoint below the base URL."""
        return "/completions" if request.style == "completion" else "/chat/completions"

    def body(self, request: Request, params: SamplingParams) -> bytes:
        """One request for one sample, with its seed."""
        body: dict[str, Any] = {"model": self.model}
        if request.style == "completion":
            body["prompt"] = "\n\n".join(message["content"] for message in request.messages)
        else:
            body["messages"] = list(request.messages)
        body.update(temperature=params.temperature, top_p=params.top_p, seed=request.seed, n=1, stream=False)
        if params.top_k > 0:
            body["top_k"] = params.top_k
        if params.max_tokens is not None:
            body[self.token_field] = params.max_tokens
        if params.stop:
            body["stop"] = list(params.stop)
        body.update(self.extra)
        return json.dumps(body).encode()

    def sample(self, benchmark: str, request: Request, params: SamplingParams, reply: bytes, attempts: int) -> Sample:
        """Reads a reply.

        Raises:
            BadReply: It is not a completion.
        """
        try:
            content = json_text.loads(reply)
            choice = content["choices"][0]
            text = _text(choice)
            usage = content.get("usage") or {}
            reason = choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise BadReply(f"the reply is no completion ({type(error).__name__}): {reply[:200]!r}") from error
        metadata: dict[str, Any] = {}
        if attempts > 1:
            metadata["attempts"] = attempts
        if reason not in _FINISH:
            metadata["finish_reason"] = reason
        cut = min((place for stop in params.stop if (place := text.find(stop)) >= 0), default=len(text))
        return Sample(
            task=request.task,
            benchmark=benchmark,
            problem_id=request.problem_id,
            index=request.index,
            seed=request.seed,
            response=text[:cut],
            finish_reason="stop" if cut < len(text) else _FINISH.get(str(reason), "unknown"),
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
            metadata=metadata,
        )


def _text(choice: Mapping[str, Any]) -> str:
    """The response; thinking that the server has split off stands before it, in the tags that graders know."""
    if "message" not in choice:
        return str(choice["text"])
    message = choice["message"]
    answer = message.get("content") or ""
    if isinstance(answer, list):  # content parts
        answer = "".join(part.get("text") or "" for part in answer)
    thinking = message.get("reasoning_content") or message.get("reasoning") or ""
    if not isinstance(thinking, str) or not thinking:
        return answer or message.get("refusal") or ""
    # Without an answer the thinking was cut: it stays open, so that nothing in it counts as an answer.
    return f"<think>\n{thinking}\n</think>\n\n{answer}" if answer else f"<think>\n{thinking}"


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) else None


def error_message(status: int, body: bytes) -> str:
    """What the server says went wrong, in one line of at most 300 characters."""
    text = body.decode(errors="replace")
    try:
        content = json.loads(text)
        found = content.get("error", content)
        if isinstance(found, Mapping):
            found = found.get("message") or found.get("detail") or found
        text = str(found if not isinstance(found, Mapping) else found.get("detail", found))
    except (ValueError, AttributeError, RecursionError):
        pass
    line = " ".join(text.split())
    return f"HTTP {status}: {line[:300] or 'no message'}"
