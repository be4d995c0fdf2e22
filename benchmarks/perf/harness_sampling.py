"""Sampling alone, each client in a process of its own: ``python -m benchmarks.perf.harness_sampling CLIENT JOB.json``.

Prints one JSON line: seconds from the first request to the last answer, CPU seconds of the process in that time, and
how many answers it has. ``ringlite`` has stored every one by then; the other two hold them in memory or drop them.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

PARAMETERS = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 32768}


@dataclass(frozen=True)
class Job:
    """What a client does.

    Attributes:
        url: Base URL of the server.
        data: Data folder with the problems.
        samples: Answers to each problem.
        concurrency: Requests in flight.
        folder: Where ``ringlite`` stores.
    """

    url: str
    data: str
    samples: int
    concurrency: int
    folder: str


def _prompts(job: Job) -> list[str]:
    from benchmarks.perf.harness_rows import BENCHMARK
    from harness.card import load_card
    from harness.problems import load_problems

    return [problem.prompt for problem in load_problems(load_card(BENCHMARK), Path(job.data))] * job.samples


def _timed(work: Callable[[], int]) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    answers = work()
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "answers": answers}


def bare(job: Job, parsed: bool = True) -> dict[str, Any]:
    """aiohttp and nothing else: requests made before, replies read (and parsed), then dropped."""
    import aiohttp

    url, headers = f"{job.url}/chat/completions", {"Content-Type": "application/json"}
    bodies = [
        json.dumps({"model": "table", "messages": [{"role": "user", "content": prompt}], **PARAMETERS}).encode()
        for prompt in _prompts(job)
    ]

    async def run() -> int:
        answers, left = 0, iter(bodies)

        async def work(session: aiohttp.ClientSession) -> None:
            nonlocal answers
            for body in left:
                async with session.post(url, data=body, headers=headers) as reply:
                    text = (await reply.json())["choices"][0]["message"]["content"] if parsed else await reply.read()
                    answers += bool(text) and reply.status == 200

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(work(session) for _ in range(job.concurrency)))
        return answers

    return _timed(lambda: asyncio.run(run()))


def ringlite(job: Job) -> dict[str, Any]:
    """Our backend and our store, as ``ringlite score`` puts them together."""
    from benchmarks.perf.harness_rows import BENCHMARK
    from harness.backends.openai import OpenAIBackend, OpenAIOptions
    from harness.problems import LoadOptions
    from harness.run_setup import Overrides, make_task
    from harness.sampling import sample_task
    from harness.store import RunStore

    task = make_task(BENCHMARK, Path(job.data), LoadOptions(), Overrides(n=job.samples))
    backend = OpenAIBackend(OpenAIOptions(job.url, concurrency=job.concurrency))
    try:
        with RunStore(Path(job.folder)) as store:
            return _timed(lambda: sample_task(backend, task, store, 0, lambda sample: None))
    finally:
        backend.close()


def lm_eval(job: Job) -> dict[str, Any]:
    """lm-eval's own model class, called as its evaluator calls it."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalChatCompletion

    from benchmarks.perf.harness_lm_eval import model_arguments

    model = LocalChatCompletion(**model_arguments(job.url, job.concurrency))
    options = {"until": [], "do_sample": True, "temperature": 1.0, "top_p": 0.95, "max_gen_toks": 32768}
    instances = [
        Instance("generate_until", {}, (model.apply_chat_template([{"role": "user", "content": prompt}]), options), n)
        for n, prompt in enumerate(_prompts(job))
    ]
    return _timed(lambda: sum(bool(text) for text in model.generate_until(instances)))


CLIENTS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "aiohttp": bare,
    "aiohttp-unparsed": partial(bare, parsed=False),
    "ringlite": ringlite,
    "lm-eval": lm_eval,
}


def main() -> None:
    """Runs one client once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("job", type=Path)
    arguments = parser.parse_args()
    job = Job(**json.loads(arguments.job.read_text(encoding="utf-8")))
    print(json.dumps(CLIENTS[arguments.client](job)))


if __name__ == "__main__":
    main()
