"""After many mixed jobs the host is as it was: no process, mount, control group, file, descriptor or shared memory more."""

import gc
import itertools
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox import Sandbox

JOBS: list[dict[str, Any]] = [
    {"code": "print(1)"},
    {"code": "1 / 0"},
    {"code": "def f(:"},
    {
        "code": "import os\nfor i in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        import time; time.sleep(100)"
    },
    {
        "code": "open('/tmp/x', 'w').write('x' * 1000)\nopen('/dev/shm/y', 'w').write('y')\nimport os\nos.makedirs('/box/a/b/c')"
    },
    {"code": "x = b'x' * (60 << 20)", "limits": {"memory_mb": 32}},
    {"code": "import os\nos._exit(7)"},
    {"code": "print('x' * 100_000)", "limits": {"output_kb": 8}},
    {
        "mode": "judge",
        "code": "print(input())",
        "tests": [{"stdin": "a", "expected": "a"}, {"stdin": "b", "expected": "c"}],
    },
    {
        "mode": "call",
        "code": "def f(x): return x",
        "tests": {"entry_point": "f", "cases": [{"args": [1], "expected": 1}] * 3},
    },
    {
        "mode": "call",
        "code": "import os\ndef f(x): os._exit(0)",
        "tests": {"entry_point": "f", "cases": [{"args": [1], "expected": 1}]},
    },
    {
        "mode": "unit",
        "code": "def f(x): return x",
        "tests": {"framework": "check", "entry_point": "f", "test_code": "def check(c):\n    assert c(1) == 1"},
    },
    {
        "mode": "unit",
        "code": "def f(x): return [x]",
        "tests": {
            "framework": "unittest",
            "test_code": "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 1)",
        },
    },
    {"code": 5},
]


def state_of_the_host() -> dict[str, Any]:
    gc.collect()
    me = psutil.Process()
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "processes": sorted(process.pid for process in me.children(recursive=True)),
        "threads": me.num_threads(),
        "mounts": Path("/proc/self/mountinfo").read_text().count("\n"),
        "groups": sorted(f"{path}" for path in Path("/sys/fs/cgroup").glob(f"*/**/ringlite-{os.getpid()}-*")),
        "shared memory": sorted(path.name for path in Path("/dev/shm").iterdir()),
        "system v": Path("/proc/sysvipc/shm").read_text().count("\n") if Path("/proc/sysvipc/shm").exists() else 0,
    }


def run_mixed(count: int, warm_up: int) -> None:
    before = state_of_the_host()
    with Sandbox(workers=2) as sandbox:
        # Each job beside itself, so that both workers have a container for it before anything is counted.
        twice = itertools.chain.from_iterable((job, job) for job in itertools.cycle(JOBS))
        list(sandbox.map(itertools.islice(twice, 2 * warm_up), ordered=False))
        warm = state_of_the_host()
        resident = psutil.Process().memory_info().rss
        verdicts = [r.verdict for r in sandbox.map(itertools.islice(itertools.cycle(JOBS), count), ordered=False)]
        after = state_of_the_host()
        grown = psutil.Process().memory_info().rss - resident
        assert len(verdicts) == count
        assert "internal_error" not in verdicts
        for key in ("descriptors", "threads", "mounts", "shared memory", "system v"):
            assert after[key] <= warm[key] if isinstance(after[key], int) else after[key] == warm[key], key
        assert len(after["processes"]) <= len(warm["processes"]) + 8  # a container or two may have been added meanwhile
        assert grown < 16 << 20
    end = state_of_the_host()
    assert end == {**before, "threads": end["threads"]}


def test_mixed_jobs_leave_nothing() -> None:
    run_mixed(1400, 150)


@pytest.mark.slow
@pytest.mark.skipif("RINGLITE_SLOW" not in os.environ, reason="one to five minutes; set RINGLITE_SLOW=1 to run")
@pytest.mark.timeout(3600)
def test_ten_thousand_mixed_jobs_leave_nothing() -> None:
    run_mixed(10_000, 500)
