"""The engine: results with evidence, retries, order, threads, levels; verdicts that do not depend on load."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox import AsyncSandbox, InvalidJob, IsolationUnavailable, Sandbox, SandboxError


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as made:
        yield made


def keepers(of: int | None = None) -> list[psutil.Process]:
    """The live keepers among the children of a process."""
    children = [child for child in psutil.Process(of).children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in children if any(part.endswith("keeper.py") for part in child.cmdline())]


def test_result_carries_evidence(sandbox: Sandbox) -> None:
    result = sandbox.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nx = b'x' * (40 << 20)\nsys.exit(3)")
    assert (result.verdict, result.exit_code, result.signal) == ("runtime_error", 3, None)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert 0 < result.cpu_s < 5
    assert 0 < result.wall_s < 60
    assert 40 < result.memory_mb < 80
    assert result.isolation == sandbox.isolation
    assert result.isolation.startswith("full (")
    assert result.retries == 0


def test_output_is_cut_and_says_so(sandbox: Sandbox) -> None:
    result = sandbox.run("print('x' * 5000)", limits={"output_kb": 2})
    assert result.verdict == "output_limit"
    assert len(result.stdout) == 2048
    assert result.stdout_cut == 5001 - 2048


def test_exactly_the_output_limit_is_accepted(sandbox: Sandbox) -> None:
    assert sandbox.run("import sys\nsys.stdout.write('x' * 2048)", limits={"output_kb": 2}).verdict == "accepted"


def test_traceback_names_the_program_and_not_the_engine(sandbox: Sandbox) -> None:
    stderr = sandbox.run("def f():\n    return 1 / 0\nf()").stderr
    assert stderr.startswith('Traceback (most recent call last):\n  File "/box/main.py", line 3, in <module>')
    assert "sandbox" not in stderr


@pytest.mark.parametrize("code", ["def f(:\n  pass", "x = 'abc", "\tif 1:\n  pass", "x = \0"])
def test_source_that_does_not_compile(sandbox: Sandbox, code: str) -> None:
    result = sandbox.run(code)
    assert (result.verdict, result.exit_code) == ("compile_error", 1)
    assert "Error" in result.message


def test_exit_code_of_the_marker_is_no_compile_error(sandbox: Sandbox) -> None:
    assert sandbox.run("import sys; sys.exit(71)").verdict == "runtime_error"


def test_environment_files_and_arguments(sandbox: Sandbox) -> None:
    code = "import os, sys\nprint(sys.argv[1:], open('a/b.txt').read(), os.getcwd(), sorted(os.listdir('.')))"
    result = sandbox.run(code, args=["x"], options={"files": {"a/b.txt": "text"}})
    assert result.stdout == "['x'] text /box ['a', 'main.py']\n"


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a//b", ""])
def test_files_stay_in_the_working_directory(sandbox: Sandbox, name: str) -> None:
    result = sandbox.run("pass", options={"files": {name: "x"}})
    assert result.verdict == "refused"
    assert "options.files" in result.message


def test_malformed_job_names_the_field(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidJob, match=r"limits\.time_s"):
        sandbox.execute({"code": "pass", "limits": {"time_s": -1}})
    with pytest.raises(InvalidJob, match="tests"):
        sandbox.execute({"code": "pass", "mode": "judge"})


def test_batch_line_of_mode_judge_has_a_bare_list(sandbox: Sandbox) -> None:
    line = {
        "id": "7",
        "language": "python",
        "mode": "judge",
        "code": "print(input())",
        "tests": [{"stdin": "a", "expected": "a"}],
    }
    result = sandbox.execute(line)
    assert (result.id, result.verdict) == ("7", "accepted")


def test_map_keeps_order_refuses_malformed_jobs_and_reads_ahead_little(sandbox: Sandbox) -> None:
    taken = 0

    def jobs() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield {"id": str(number), "code": f"print({number})"} if number != 3 else {"id": "3", "code": 5}

    results = list(itertools.islice(sandbox.map(jobs()), 20))
    assert [result.id for result in results] == [str(n) for n in range(20)]
    assert [result.verdict for result in results] == ["accepted"] * 3 + ["refused"] + ["accepted"] * 16
    assert taken < 60


def test_unordered_map_yields_the_quick_ones_first(sandbox: Sandbox) -> None:
    jobs = [{"id": "slow", "code": "import time; time.sleep(1.5)"}] + [{"id": "quick", "code": "pass"}] * 4
    names = [result.id for result in sandbox.map(jobs, ordered=False)]
    assert names[-1] == "slow"
    assert len(names) == 5


def test_async_twin() -> None:
    async def scenario() -> list[str]:
        async with AsyncSandbox(workers=2) as sandbox:
            one = await sandbox.execute({"code": "print(1)"})
            jobs = [{"id": str(n), "code": f"print({n})"} for n in range(6)]
            return [one.stdout, *[r.stdout async for r in sandbox.map(jobs)]]

    assert asyncio.run(scenario()) == ["1\n", *(f"{n}\n" for n in range(6))]


def test_killed_zygote_is_replaced_and_the_job_run_again() -> None:
    others = keepers()
    with Sandbox(workers=1) as sandbox:
        (keeper,) = [k for k in keepers() if k not in others]

        def kill_once() -> None:
            time.sleep(0.5)
            for zygote in keeper.children():
                zygote.kill()

        killer = threading.Thread(target=kill_once)
        killer.start()
        result = sandbox.run("import time; time.sleep(1.5); print('done')")
        killer.join()
        assert (result.verdict, result.stdout, result.retries) == ("accepted", "done\n", 1)
        assert keeper not in keepers()
    assert keepers() == others


def test_a_worker_that_dies_idle_costs_no_retry() -> None:
    others = keepers()
    with Sandbox(workers=1) as sandbox:
        (keeper,) = [k for k in keepers() if k not in others]
        inside = keeper.children(recursive=True)
        keeper.kill()
        _, alive = psutil.wait_procs([keeper, *inside], timeout=10)
        assert inside
        assert not [process for process in alive if process.is_running() and process.status() != "zombie"]
        result = sandbox.run("print(1)")
        assert (result.verdict, result.retries) == ("accepted", 0)


def test_a_job_that_always_loses_its_worker_is_an_internal_error() -> None:
    others = keepers()
    with Sandbox(workers=1) as sandbox:
        stop = threading.Event()

        def kill_always() -> None:
            while not stop.wait(0.05):
                for keeper in keepers():
                    if keeper not in others:
                        for job in keeper.children(recursive=True)[1:]:
                            job.parent().kill()

        killer = threading.Thread(target=kill_always)
        killer.start()
        try:
            result = sandbox.run("import time; time.sleep(5)")
        finally:
            stop.set()
            killer.join()
        assert (result.verdict, result.retries) == ("internal_error", 2)


DRIVER = """
import sys, threading, time
from sandbox import Sandbox
sandbox = Sandbox(workers=2)
busy = [threading.Thread(target=sandbox.run, args=("import os, time\\nos.fork()\\ntime.sleep(100)",)) for _ in range(2)]
for thread in busy:
    thread.daemon = True
    thread.start()
print("ready", flush=True)
time.sleep(100)
"""


def test_nothing_survives_a_killed_driver() -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "ready\n"
    tree: list[psutil.Process] = []
    while len(tree) < 8:  # of each worker: keeper, zygote, the program and its child
        assert driver.poll() is None
        time.sleep(0.1)
        tree = psutil.Process(driver.pid).children(recursive=True)
    names = [f"ringlite-{keeper.pid}-" for keeper in keepers(driver.pid)]
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(tree, timeout=20)
    assert alive == []
    assert [path for path in cgroups() if any(name in path for name in names)] == []


def cgroups() -> list[str]:
    return [str(path) for path in Path("/sys/fs/cgroup").rglob("ringlite-*") if path.is_dir()]


def test_closing_leaves_no_process_and_no_group() -> None:
    others = keepers()
    with Sandbox(workers=2) as sandbox:
        list(sandbox.map([{"code": "pass"}] * 6))
        names = [f"ringlite-{keeper.pid}-" for keeper in keepers() if keeper not in others]
        assert names
    assert keepers() == others
    assert [path for path in cgroups() if any(name in path for name in names)] == []


def test_closed_sandbox_says_so() -> None:
    sandbox = Sandbox(workers=1)
    sandbox.close()
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run("pass")


def test_unknown_level_and_bad_worker_count() -> None:
    with pytest.raises(IsolationUnavailable, match="unknown"):
        Sandbox(workers=1, isolation="weak")  # type: ignore[arg-type]  # what a user may type
    with pytest.raises(SandboxError, match="workers"):
        Sandbox(workers=0)


# Everything whose verdict a slow or crowded machine might change.
DELICATE = [
    ("accepted", "x = 0\nfor i in range(3_000_000):\n    x += i\nprint(x)", {"time_s": 2.0}),
    ("time_limit", "while True: pass", {"time_s": 0.5}),
    ("time_limit", "import time; time.sleep(60)", {"time_s": 0.5, "wall_s": 2.0}),
    ("accepted", "import time; time.sleep(0.5)", {"time_s": 1.0, "wall_s": 1.5}),
    ("memory_limit", "x = b'x' * (200 << 20)", {"memory_mb": 100}),
    ("accepted", "x = b'x' * (60 << 20)", {"memory_mb": 100}),
    ("output_limit", "print('x' * 100_000)", {"output_kb": 10}),
    ("runtime_error", "import os; os.abort()", {}),
    (
        "accepted",
        "import threading\nts = [threading.Thread(target=sum, args=(range(10**6),)) for _ in range(4)]\n"
        "for t in ts: t.start()\nfor t in ts: t.join()",
        {"time_s": 2.0},
    ),
]


def delicate_verdicts(sandbox: Sandbox, parallel: int) -> list[str]:
    with ThreadPoolExecutor(parallel) as threads:
        return list(threads.map(lambda row: sandbox.run(row[1], limits=row[2]).verdict, DELICATE))


def test_verdicts_are_the_same_under_load() -> None:
    wanted = [row[0] for row in DELICATE]
    with Sandbox(workers=1) as sandbox:
        assert delicate_verdicts(sandbox, 1) == wanted
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
        try:
            assert delicate_verdicts(sandbox, 1) == wanted
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
    with Sandbox(workers=16) as sandbox:
        assert delicate_verdicts(sandbox, 16) == wanted


def test_interrupt_at_the_terminal_reaches_only_the_driver() -> None:
    code = textwrap.dedent(
        """
        import os, signal, time
        from sandbox import Sandbox
        with Sandbox(workers=1) as sandbox:
            try:
                os.killpg(0, signal.SIGINT)
                time.sleep(1)
            except KeyboardInterrupt:
                print(sandbox.run("print('alive')").stdout, end="")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        start_new_session=True,
        # a test run in the background of a shell would hand down that interrupts are ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        check=False,
    )
    assert done.stdout == "alive\n", done.stderr
