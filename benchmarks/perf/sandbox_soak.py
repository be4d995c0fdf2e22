"""Soak of the HTTP service: clients that never pause, every verdict known beforehand, memory watched.

python -m benchmarks.perf.sandbox_soak --clients 64 --seconds 60
"""

import argparse
import asyncio
import itertools
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.perf.sandbox_report import emit

ADD = "a, b = map(int, input().split())\nprint(a + b)\n"


def _judge(name: str, code: str, a: int, b: int) -> dict[str, Any]:
    return {"id": name, "mode": "judge", "code": code, "tests": [{"stdin": f"{a} {b}\n", "expected": f"{a + b}\n"}]}


def known_jobs(seed: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Endless jobs with their verdicts: right, wrong, crashing, too slow, too large, calls and malformed ones."""
    chance = random.Random(seed)
    for number in itertools.count():
        name = f"{seed}-{number}"
        a, b = chance.randrange(10**6), chance.randrange(10**6)
        draw = chance.random()
        if draw < 0.6:
            yield _judge(name, ADD, a, b), "accepted"
        elif draw < 0.75:
            yield _judge(name, ADD.replace("a + b", "a + b + 1"), a, b), "wrong_answer"
        elif draw < 0.85:
            yield _judge(name, "raise KeyError(1)", a, b), "runtime_error"
        elif draw < 0.95:
            tests = {"entry_point": "f", "cases": [{"args": [a, b], "expected": max(a, b)}]}
            yield {"id": name, "mode": "call", "code": "def f(a, b):\n    return max(a, b)", "tests": tests}, "accepted"
        elif draw < 0.96:
            yield {**_judge(name, "while True: pass", a, b), "limits": {"time_s": 0.1}}, "time_limit"
        elif draw < 0.97:
            job = _judge(name, "x = bytearray(300 << 20)", a, b)
            yield {**job, "limits": {"memory_mb": 64}}, "memory_limit"
        else:
            yield {"id": name, "mode": "judge", "code": ADD}, "422"


def resident_mb(pid: int) -> float:
    """Resident memory of the service process, MiB."""
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return round(int(match[1]) / 1024, 1) if match else 0.0


class _Soak:
    def __init__(self, url: str, pid: int, seconds: float) -> None:
        self.url = url
        self.pid = pid
        self.end = time.monotonic() + seconds
        self.counts = dict.fromkeys(("answered", "refused_429", "wrong", "lost"), 0)
        self.latencies: list[float] = []
        self.memory: list[float] = []
        self.examples: list[str] = []

    async def client(self, seed: int, session: aiohttp.ClientSession) -> None:
        for job, expected in known_jobs(seed):
            while time.monotonic() < self.end and not await self.ask(session, job, expected):
                pass
            if time.monotonic() >= self.end:
                return

    async def ask(self, session: aiohttp.ClientSession, job: dict[str, Any], expected: str) -> bool:
        """Whether ``job`` is done with; False after a 429."""
        begun = time.monotonic()
        try:
            async with session.post(f"{self.url}/v1/execute", json=job) as answer:
                status, body = answer.status, await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.counts["lost"] += 1
            self.examples.append(f"{job['id']}: {error!r}")
            return True
        if status == 429:
            self.counts["refused_429"] += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]) * random.uniform(0.05, 0.2))
            return False
        self.counts["answered"] += 1
        self.latencies.append(time.monotonic() - begun)
        found = body.get("verdict", str(status))
        if found != expected or (status == 200 and body["id"] != job["id"]):
            self.counts["wrong"] += 1
            self.examples.append(f"{job['id']}: {found} for {expected}: {body}")
        return True

    async def watch(self, period: float) -> None:
        while True:
            self.memory.append(resident_mb(self.pid))
            await asyncio.sleep(period)


def percentiles(latencies: list[float]) -> dict[str, float]:
    """Milliseconds at the usual percentiles of latencies in seconds."""
    ordered = sorted(latencies)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(1000 * ordered[min(last, int(len(ordered) * q))], 1) for name, q in shares.items() if ordered}


async def soak(url: str, pid: int, clients: int, seconds: float) -> dict[str, Any]:
    """Runs ``clients`` against ``url`` and counts answers, refusals, wrong verdicts and lost answers."""
    run = _Soak(url, pid, seconds)
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        watcher = asyncio.create_task(run.watch(max(0.2, seconds / 60)))
        await asyncio.gather(*(run.client(seed, session) for seed in range(clients)))
        watcher.cancel()
    quarter = max(1, len(run.memory) // 4)
    return {
        "clients": clients,
        "seconds": seconds,
        **run.counts,
        "answers_per_s": round(run.counts["answered"] / seconds, 1),
        "latency_ms": percentiles(run.latencies),
        "rss_mb_by_quarter": [max(run.memory[i * quarter : (i + 1) * quarter] or run.memory[-1:]) for i in range(4)],
        "examples": run.examples[:10],
    }


class Server:
    """A ``ringlite sandbox serve`` of its own on a free port, as a context manager."""

    def __init__(self, workers: int, queue: int) -> None:
        options = ["--port", "0", "--workers", str(workers), "--queue", str(queue)]
        self._command = [sys.executable, "-m", "ringlite", "sandbox", "serve", *options]

    def __enter__(self) -> "Server":
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline() if self.process.stderr else ""
        match = re.search(r"http://\S+", line)
        if match is None:
            raise SystemExit(f"the service did not start: {line}")
        self.url = match[0]
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.exit_code = self.process.wait(120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--queue", type=int, default=48, help="less than the clients, so that some meet a 429")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with Server(arguments.workers, arguments.queue) as server:
        report = asyncio.run(soak(server.url, server.process.pid, arguments.clients, arguments.seconds))
    report["exit_code_after_sigterm"] = server.exit_code
    emit("sandbox_soak", report, [[name, str(value)] for name, value in report.items()], arguments.out)
    sys.exit(1 if report["wrong"] or report["lost"] or server.exit_code else 0)


if __name__ == "__main__":
    main()
