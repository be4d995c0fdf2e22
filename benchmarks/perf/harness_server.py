"""An OpenAI-compatible server in a process of its own that answers from a table, made before the first request.

``python -m benchmarks.perf.harness_server TABLE.json`` prints its port. The first part of a path names the run, so each
run has its own counters: ``/RUN/v1/chat/completions``. The k-th request for a problem gets its k-th text, whoever asks
and in whatever order, so that two clients that ask equally often get the same texts.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from benchmarks.perf.harness_texts import CHARACTERS, response

MODEL = "table"
EVERY = 20
"""Of so many answers the server notes when the last one went out."""

_CHARACTERS_A_TOKEN = 3


@dataclass(frozen=True)
class Question:
    """A problem of the table."""

    id: str
    text: str
    gold: str


@dataclass
class _Run:
    asked: Counter[str] = field(default_factory=Counter)
    first: float | None = None
    last: float | None = None
    answered: int = 0
    times: list[float] = field(default_factory=list)


def body(question: Question, index: int, characters: int) -> bytes:
    """One reply, ready to be sent."""
    made = response(question.id, question.gold, index, characters)
    prompt, tokens = len(question.text) // _CHARACTERS_A_TOKEN, len(made.text) // _CHARACTERS_A_TOKEN
    message = {"role": "assistant", "content": made.text}
    content = {
        "id": f"chatcmpl-{question.id}-{index}",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": made.finish_reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens},
    }
    return json.dumps(content).encode()


class Table:
    """The answers and who has asked for how many."""

    def __init__(self, questions: Sequence[Question], samples: int, characters: int) -> None:
        self._questions = questions
        self._bodies = {
            question.id: [body(question, index, characters) for index in range(samples)] for question in questions
        }
        self._known: dict[str, str] = {}
        self._runs: dict[str, _Run] = {}

    def take(self, run: str, prompt: str) -> bytes | None:
        """The next answer of a run to a prompt; None where no question of the table is in it."""
        name = self._known.get(prompt)
        if name is None:
            name = next((question.id for question in self._questions if question.text in prompt), None)
            if name is None:
                return None
            self._known[prompt] = name
        state = self._runs.setdefault(run, _Run())
        if state.first is None:
            state.first = time.monotonic()
        place = state.asked[name]
        state.asked[name] += 1
        bodies = self._bodies[name]
        return bodies[place % len(bodies)]

    def answered(self, run: str) -> None:
        """Notes when the latest answer went out."""
        state = self._runs[run]
        state.last = time.monotonic()
        state.answered += 1
        if state.answered % EVERY == 0:
            state.times.append(state.last)

    def statistics(self, run: str) -> dict[str, Any]:
        """Requests of a run; when the first came, the last answer went and each 20th did (``time.monotonic``)."""
        state = self._runs.get(run, _Run())
        return {
            "requests": state.asked.total(),
            "first": state.first,
            "last": state.last,
            "times": state.times,
        }


async def _serve(table: Table, delay: float) -> None:
    async def models(request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "table"}]})

    async def statistics(request: web.Request) -> web.Response:
        return web.json_response(table.statistics(request.match_info["run"]))

    async def complete(request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())
        found = table.take(request.match_info["run"], asked["messages"][-1]["content"])
        if found is None:
            return web.json_response({"error": {"message": "no such question in the table"}}, status=400)
        if delay:
            await asyncio.sleep(delay)
        reply = web.Response(body=found, content_type="application/json")
        await reply.prepare(request)
        await reply.write_eof()
        table.answered(request.match_info["run"])
        return reply

    app = web.Application(client_max_size=1 << 24)
    app.router.add_get("/{run}/v1/models", models)
    app.router.add_get("/{run}/statistics", statistics)
    app.router.add_post("/{run}/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the owner closes the pipe, or dies
    await runner.cleanup()


class TableServer:
    """The server's owner: starts the process and ends it.

    Args:
        questions: What may be asked.
        samples: Different answers to each.
        folder: Where the table is handed over.
        characters: Length of an answer.
        delay: Seconds that an answer takes.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        samples: int,
        folder: Path,
        characters: int = CHARACTERS,
        delay: float = 0.0,
    ) -> None:
        self._table = folder / "table.json"
        content = {
            "questions": [asdict(question) for question in questions],
            "samples": samples,
            "characters": characters,
            "delay": delay,
        }
        self._table.write_text(json.dumps(content), encoding="utf-8")

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __spec__.name, str(self._table)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip():
            sys.exit("the table server did not start (see above)")
        self.port = int(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def url(self, run: str) -> str:
        """Base URL of a run."""
        return f"http://127.0.0.1:{self.port}/{run}/v1"

    def statistics(self, run: str) -> dict[str, Any]:
        """See :meth:`Table.statistics`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{run}/statistics") as reply:
            content: dict[str, Any] = json.load(reply)
        return content


def main() -> None:
    """Serves a table until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    content = json.loads(parser.parse_args().table.read_text(encoding="utf-8"))
    questions = [Question(**question) for question in content["questions"]]
    asyncio.run(_serve(Table(questions, content["samples"], content["characters"]), content["delay"]))


if __name__ == "__main__":
    main()
