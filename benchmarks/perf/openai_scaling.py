"""How sampling from a served model scales, and whether memory stays flat: real requests to a real server.

Its place is the section ``openai`` of ``benchmarks.perf.harness``.
"""

import itertools
import statistics
from pathlib import Path
from typing import Any

from benchmarks.perf.harness_meter import Measured, measure
from benchmarks.perf.harness_runs import Bench, bench, environment, ringlite_command, sampling
from benchmarks.perf.harness_server import EVERY

LEVELS = (1, 4, 16, 64)
DELAY_S = 0.1
REQUESTS = 10_000
TARGET_CPU_MS = 2.0
TARGET_GROWTH_MIB = 8.0
_TABLE = 64  # different answers to each problem


def cost(place: Bench, samples: int, rounds: int) -> list[dict[str, Any]]:
    """Requests a second and CPU of the client a request, storing included, by the number of requests in flight."""
    rows = []
    for level in LEVELS:
        runs = [sampling(place, "ringlite", f"cost-{level}-{n}", samples, level) for n in range(rounds)]
        per_second, cpu_ms = ([run[name] for run in runs] for name in ("per_second", "cpu_ms"))
        rows.append(
            {
                "concurrency": level,
                "per_second": statistics.median(per_second),
                "cpu_ms": statistics.median(cpu_ms),
                "runs": runs,
            }
        )
    return rows


def scaling(place: Bench, delay: float) -> list[dict[str, Any]]:
    """Against a server that takes ``delay`` seconds for an answer: requests a second, and their share of the ideal."""
    rows = []
    for level in LEVELS:
        run = sampling(place, "ringlite", f"slow-{level}", max(1, level // 2), level)
        rows.append({"concurrency": level, "per_second": run["per_second"], "ideal": run["per_second"] * delay / level})
    return rows


def steady(place: Bench, samples: int, concurrency: int = LEVELS[-1]) -> dict[str, Any]:
    """One whole ``ringlite score``: CPU of all its processes a request, and memory in each quarter of its requests."""
    folder = place.place("steady")
    done = measure(ringlite_command(place, "steady", samples, concurrency), folder, environment(folder))
    seen = place.server.statistics("steady")
    answers = samples * len(place.asked)
    stored = sum(1 for _ in (folder / "run" / "samples.jsonl").open("rb"))
    if seen["requests"] != answers or stored != answers:
        raise SystemExit(f"of {answers} requests {seen['requests']} were sent and {stored} answers stored")
    quarters = _quarters(done, seen, answers)
    return {
        "requests": answers,
        "concurrency": concurrency,
        "per_second": answers / (seen["last"] - seen["first"]),
        "cpu_ms": 1000 * done.cpu / answers,
        "pss_mib_by_quarter": quarters,
        "growth_mib": quarters[-1] - quarters[1],  # the graders start in the first quarter
        "peak_mib": done.peak.pss,
    }


def _quarters(done: Measured, seen: dict[str, Any], answers: int) -> list[float]:
    """Median PSS of the process tree in each quarter of the answers."""
    ends = [seen["first"], *(seen["times"][quarter * answers // (4 * EVERY) - 1] for quarter in (1, 2, 3, 4))]
    return [
        statistics.median([m.pss for m in done.curve if start <= m.at <= end] or [done.at(end).pss])
        for start, end in itertools.pairwise(ends)
    ]


def run(data: Path | None, rounds: int, characters: int, requests: int = REQUESTS) -> dict[str, Any]:
    """All three measurements."""
    with bench(data, _TABLE, characters) as place:
        problems = len(place.asked)
        costs = cost(place, max(1, min(_TABLE, requests // (4 * problems))), rounds)
        memory = steady(place, -(-requests // problems))
    with bench(data, 1, characters, DELAY_S) as place:
        slow = scaling(place, DELAY_S)
    return {"cost": costs, "scaling": slow, "delay_s": DELAY_S, "steady": memory}


def rows(results: dict[str, Any]) -> list[list[str]]:
    """Figure and value."""
    found = [
        [
            f"{row['concurrency']} in flight",
            f"{row['per_second']:,.0f} requests/s, {row['cpu_ms']:.2f} CPU ms a request",
        ]
        for row in results["cost"]
    ]
    found += [
        [
            f"{row['concurrency']} in flight, answers after {results['delay_s']} s",
            f"{row['per_second']:,.1f} requests/s, {100 * row['ideal']:.0f} % of the ideal",
        ]
        for row in results["scaling"]
    ]
    steady = results["steady"]
    quarters = ", ".join(f"{value:.0f}" for value in steady["pss_mib_by_quarter"])
    found.append(
        [
            f"`ringlite score`, {steady['requests']:,} requests",
            f"{steady['per_second']:,.0f} requests/s, {steady['cpu_ms']:.2f} CPU ms a request in all processes (with "
            f"start, grading, report), MiB by quarter {quarters}",
        ]
    )
    return found


def misses(results: dict[str, Any]) -> list[str]:
    """What is outside its bounds."""
    found = [
        f"{row['cpu_ms']:.2f} CPU ms a request with {row['concurrency']} in flight (at most {TARGET_CPU_MS:g})"
        for row in results["cost"]
        if row["cpu_ms"] > TARGET_CPU_MS
    ]
    growth = results["steady"]["growth_mib"]
    if growth > TARGET_GROWTH_MIB:
        found.append(f"memory grew by {growth:.1f} MiB from the second quarter to the last")
    return found
