"""Each attack gets the verdict it deserves, in time, sees nothing, and leaves nothing."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.job import Result

Probe = Callable[[], dict[str, Any]]


def test_the_suite_is_large_enough(attacks: list[Any]) -> None:
    assert len(attacks) >= 80
    assert len({(a.kind, a.name) for a in attacks}) == len(attacks)
    assert {a.job.get("language", "python") for a in attacks} == {"python", "cpp", "java"}


def test_attack_is_contained(attack: Any, sandbox: Sandbox, probe: Probe, canary: tuple[str, Path]) -> None:
    if attack.machine and attack.machine != os.uname().machine:
        pytest.skip(f"system call numbers of {attack.machine}")
    word, path = canary
    job: dict[str, Any] = {**attack.job, "code": attack.job["code"].replace("{{CANARY_FILE}}", str(path))}
    start = time.monotonic()
    result = sandbox.execute(job)
    elapsed = time.monotonic() - start
    assert result.verdict in attack.verdicts, (
        result.verdict,
        result.message,
        result.stdout[-500:],
        result.stderr[-500:],
    )
    assert elapsed < attack.within_s
    _saw_nothing(result, word)
    assert attack.expect in result.stdout
    assert probe() == {
        "left": [],
        "pids": [],
        "note": False,
        "modes": ["0o41777"] * 3,
        "cpus": len(os.sched_getaffinity(0)),
        "nice": os.nice(0),
        "recursion": 1000,
        "processes": [],
    }


def _saw_nothing(result: Result, word: str) -> None:
    said = result.stdout + result.stderr + result.message + "".join(case.message for case in result.cases)
    assert "ESCAPED" not in result.stdout, result.stdout[-800:]
    assert word not in said
