"""Loads the attack tables: one TOML file a class of attack, each entry a small program with its machine check."""

import json
import os
import secrets
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox import Sandbox

HERE = Path(__file__).parent
CLASSES = ("kernel", "resources", "secrets", "forgery", "remains", "compilers")
PROBE = """
import builtins, json, os, sys
left = [p for f in ("/box", "/tmp", "/dev/shm") for p in os.listdir(f) if (f, p) != ("/box", "main.py")]
print(json.dumps({
    "left": left,
    "pids": [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())],
    "note": hasattr(builtins, "note") or "note" in sys.modules or "NOTE" in os.environ or "/tmp/evil" in sys.path,
    "modes": [oct(os.stat(f).st_mode) for f in ("/tmp", "/dev/shm", "/box")],
    "cpus": len(os.sched_getaffinity(0)),
    "nice": os.nice(0),
    "recursion": sys.getrecursionlimit(),
}))
"""


@dataclass(frozen=True)
class Attack:
    """One program and what must come of it."""

    kind: str
    name: str
    job: dict[str, Any]
    verdicts: tuple[str, ...]
    expect: str = ""
    within_s: float = 90.0
    machine: str = ""


def load_attacks() -> list[Attack]:
    """Every attack of every class."""
    found = []
    for kind in CLASSES:
        table = tomllib.loads((HERE / f"{kind}.toml").read_text())
        for entry in table["attack"]:
            merged = {**table, **entry}
            job = {
                key: merged[key] for key in ("mode", "tests", "limits", "language", "compile_limits") if key in merged
            }
            job |= {"id": f"{kind}/{entry['name']}", "code": table.get("prelude", "") + entry["code"]}
            found.append(
                Attack(
                    kind,
                    entry["name"],
                    job,
                    tuple(merged["verdicts"]),
                    merged.get("expect", ""),
                    machine=merged.get("machine", ""),
                )
            )
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "attack" in metafunc.fixturenames:
        attacks = load_attacks()
        metafunc.parametrize("attack", attacks, ids=[f"{a.kind}-{a.name}" for a in attacks])


@pytest.fixture(scope="session")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A secret in the environment, the memory and a file of the host."""
    word = "canary-" + f"of-the-host-secret-{secrets.token_hex(8)}"
    path = tmp_path_factory.mktemp("host") / "secret.txt"
    path.write_text(word)
    os.environ["RINGLITE_TEST_SECRET"] = word
    yield word, path
    del os.environ["RINGLITE_TEST_SECRET"]


@pytest.fixture(scope="session")
def sandbox(canary: tuple[str, Path]) -> Iterator[Sandbox]:
    """One worker, so that a probe meets the container that the attack was in; started after the canary was set."""
    with Sandbox(workers=1) as made:
        yield made


@pytest.fixture(scope="session")
def attacks() -> list[Attack]:
    """All attacks."""
    return load_attacks()


@pytest.fixture(scope="session")
def probe(sandbox: Sandbox) -> Callable[[], dict[str, Any]]:
    """Looks for what the last job may have left: in its container, and among the processes of the host."""

    def look() -> dict[str, Any]:
        result = sandbox.run(PROBE)
        assert result.verdict == "accepted", (result.verdict, result.message, result.stderr)
        found: dict[str, Any] = json.loads(result.stdout)
        return {**found, "processes": processes_of_jobs(sandbox._examiners.waiting())}

    return look


def processes_of_jobs(examiners: list[int]) -> list[str]:
    """Processes of workers beyond each keeper and its zygote, and the one that each waiting examiner has."""
    extra = []
    for keeper in psutil.Process().children():
        try:
            if not any(part.endswith("keeper.py") for part in keeper.cmdline()):
                continue
            inside = keeper.children(recursive=True)
            if keeper.pid in examiners and len(inside) == 2:
                continue
            extra += [
                str(process) for process in inside if process.ppid() != keeper.pid and "java" not in process.name()
            ]
        except psutil.NoSuchProcess:
            continue
    return extra
