"""Where the time of a job goes, and what grows with the number of jobs: nothing should."""

import cProfile
import os
import pstats
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.perf.sandbox_meter import cpu_ms, descendants
from sandbox import Sandbox


def mixed_jobs(count: int) -> Iterator[dict[str, Any]]:
    """Jobs of all modes and endings: they print, write files, fail, fork, call and are stopped."""
    add = "a, b = map(int, input().split())\nprint(a + b)"
    kinds: list[dict[str, Any]] = [
        {"mode": "judge", "code": add, "tests": [{"stdin": "1 2", "expected": "3"}]},
        {"mode": "judge", "code": add, "tests": [{"stdin": "1 2", "expected": "4"}]},
        {"mode": "run", "code": "open('/tmp/left', 'w').write('x' * 1000)\nopen('own', 'w').write('y')"},
        {"mode": "run", "code": "raise ValueError(1)"},
        {"mode": "run", "code": "import os, time\nif os.fork() == 0:\n    time.sleep(60)"},
        {
            "mode": "call",
            "code": "def f(a):\n    return a[::-1]",
            "tests": {"entry_point": "f", "cases": [{"args": [[1, 2]], "expected": [2, 1]}]},
        },
        {"mode": "run", "code": "while True: pass", "limits": {"time_s": 0.02}},
    ]
    for number in range(count):
        yield kinds[number % 50 % len(kinds) if number % 50 != 6 else 6]


def footprint(pid: int) -> dict[str, Any]:
    """What a process and its helpers hold of the system."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    shared = Path("/proc/sysvipc/shm")
    return {
        "rss_mb": round(int(found[1]) / 1024, 1) if found else None,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 - a count of a kernel listing
        "threads": len(os.listdir(f"/proc/{pid}/task")),  # noqa: PTH208
        "processes": len(descendants(pid)),
        "cgroups": _groups(set(descendants(pid))),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "dev_shm": len(list(Path("/dev/shm").iterdir())),
        "sysv_shm": len(shared.read_text().splitlines()) - 1 if shared.exists() else 0,
    }


def _groups(pids: set[int]) -> int:
    """Control groups of workers of ours, and of workers of anybody that are gone; names end in pid and start time."""
    names = [path.name.split("-") for path in Path("/sys/fs/cgroup").rglob("ringlite-*") if path.is_dir()]
    owners = [int(name[1]) for name in names if len(name) == 3 and name[1].isdigit()]
    return sum(1 for owner in owners if owner in pids or not Path(f"/proc/{owner}").exists())


def growth(counts: tuple[int, ...], workers: int) -> dict[str, Any]:
    """The footprint after each number of jobs in ``counts``, and after the end."""
    table: dict[str, Any] = {"before": footprint(os.getpid())}
    done = 0
    with Sandbox(workers=workers) as sandbox:
        for count in counts:
            before, begun = _cost(), time.perf_counter()
            for _ in sandbox.map(mixed_jobs(count - done)):
                pass
            jobs = count - done
            cost = {"cpu_ms_a_job": round((_cost() - before) / jobs, 2)}
            cost["per_s"] = round(jobs / (time.perf_counter() - begun), 1)
            table[f"{count} jobs"] = {**footprint(os.getpid()), **cost}
            done = count
    table["closed"] = footprint(os.getpid())
    return table


def _cost() -> float:
    return sum(cpu_ms(pid) for pid in descendants(os.getpid()))


def profile(jobs: int) -> dict[str, Any]:
    """CPU milliseconds a job by where they were spent, and the costliest functions of the driver."""
    job = {"mode": "judge", "code": "print(input())", "tests": [{"stdin": "7", "expected": "7"}]}
    with Sandbox(workers=1) as sandbox:
        for _ in range(20):
            sandbox.execute(job)
        me = os.getpid()
        below = descendants(me)[1:]
        start = {pid: (cpu_ms(pid, reaped=False), cpu_ms(pid)) for pid in [me, *below]}
        for _ in range(jobs):
            sandbox.execute(job)
        own = {pid: cpu_ms(pid, reaped=False) - start[pid][0] for pid in start}
        dead = {pid: cpu_ms(pid) - start[pid][1] - own[pid] for pid in below}
        recorder = cProfile.Profile(time.process_time)  # CPU, not waiting
        recorder.enable()
        for _ in range(jobs):
            sandbox.execute(job)
        recorder.disable()
    table = {
        "driver: packing, comparing, pipes": round(own[me] / jobs, 3),
        "workers: fork, watching, reaping, cleaning": round(sum(own[pid] for pid in below) / jobs, 3),
        "programs: start, work and exit": round(sum(dead.values()) / jobs, 3),
    }
    stats = pstats.Stats(recorder).stats  # type: ignore[attr-defined]  # typeshed does not know the attribute
    costly = sorted(stats.items(), key=lambda item: -item[1][2])[:12]
    functions = {f"{Path(file).name}:{line} {name}": round(1000 * s[2] / jobs, 4) for (file, line, name), s in costly}
    return {"cpu_ms_a_job": table, "driver_functions_ms_a_job_under_cprofile": functions}
