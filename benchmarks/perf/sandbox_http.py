"""Latency of the HTTP service at several numbers of concurrent clients, each sending its next job at once."""

import asyncio
import time
from typing import Any

import aiohttp

from benchmarks.perf.sandbox_meter import tree_cpu_ms
from benchmarks.perf.sandbox_soak import ADD, Server, percentiles


async def _clients(url: str, clients: int, seconds: float) -> tuple[list[float], int]:
    latencies: list[float] = []
    failures = 0
    end = time.monotonic() + seconds
    job = {"mode": "judge", "code": ADD, "tests": [{"stdin": "20 22\n", "expected": "42\n"}]}

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal failures
        while time.monotonic() < end:
            begun = time.monotonic()
            async with session.post(f"{url}/v1/execute", json=job) as answer:
                body = await answer.json()
            latencies.append(time.monotonic() - begun)
            failures += body.get("verdict") != "accepted"

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return latencies, failures


def run(seconds: float, workers: int, levels: tuple[int, ...] = (1, 8, 64)) -> dict[str, Any]:
    """Percentiles in milliseconds, answers a second and CPU milliseconds of the service a job, by number of clients."""
    table = {}
    with Server(workers, queue=256) as server:
        asyncio.run(_clients(server.url, 1, 1))
        for clients in levels:
            before = tree_cpu_ms(server.process.pid)
            latencies, failures = asyncio.run(_clients(server.url, clients, seconds))
            cpu = tree_cpu_ms(server.process.pid) - before
            table[f"{clients} clients"] = {
                **percentiles(latencies),
                "per_s": round(len(latencies) / seconds, 1),
                "cpu_ms": round(cpu / len(latencies), 2),
                "not_accepted": failures,
            }
    return table
