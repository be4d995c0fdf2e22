"""A real Ray cluster of two nodes on this machine: two raylets, each with worker processes of its own."""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.executors.cluster import connected, load_ray

STORE_BYTES = 80 << 20  # the least that Ray takes is 75 MiB; two nodes share this machine's memory


@dataclass
class TwoNodes:
    """The head, which drivers attach to, and a second node that tests may kill."""

    cluster: Any
    second: Any = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def complete(self) -> None:
        """Puts a second node in the place of a killed one. Its GPUs are numbers to Ray; nobody computes on them."""
        if self.second is None:
            self.second = self.cluster.add_node(num_cpus=1, num_gpus=2, object_store_memory=STORE_BYTES)

    def kill(self) -> None:
        """SIGKILL for everything on the second node."""
        raylet = self._raylet(self.second)
        children = raylet.children(recursive=True)
        self.cluster.remove_node(self.second, allow_graceful=False)
        for process in children:
            if process.is_running():
                process.kill()
        self.second = None

    def at_work(self) -> list[bool]:
        """Whether a worker of ours has processes of its own (graders, containers), node by node, the head first."""
        return [any(host.children() for host in self._hosts(node)) for node in self._nodes()]

    def wait_until_idle(self) -> None:
        """Waits until no worker of ours is left on any node."""
        until = time.monotonic() + 120
        while any(self._hosts(node) for node in self._nodes()):
            assert time.monotonic() < until, "a worker has outlived its command"
            time.sleep(0.1)

    def _nodes(self) -> list[Any]:
        return [self.cluster.head_node] + [self.second] * (self.second is not None)

    def _raylet(self, node: Any) -> psutil.Process:
        return psutil.Process(node.all_processes["raylet"][0].process.pid)

    def _hosts(self, node: Any) -> list[psutil.Process]:
        return [child for child in self._raylet(node).children() if "Host" in _command_line(child)]


def _command_line(process: psutil.Process) -> str:
    """Empty for a process that has ended, whether or not its parent has reaped it."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


@pytest.fixture(scope="package")
def started() -> Iterator[TwoNodes]:
    load_ray()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    for attempt in range(3):
        cluster = Cluster()
        try:
            cluster.add_node(**head)
            break
        except Exception:  # a machine so busy that a node needs more than Ray's 30 s to start
            cluster.shutdown()
            if attempt == 2:
                raise
    yield TwoNodes(cluster)
    cluster.shutdown()


@pytest.fixture(scope="module")
def connection(started: TwoNodes) -> Iterator[None]:
    """One connection of this process for all tests of a file: each would take seconds."""
    with connected(started.address):
        yield


@pytest.fixture
def two_nodes(started: TwoNodes) -> TwoNodes:
    started.complete()
    return started


@pytest.fixture
def kill_in_the_middle(two_nodes: TwoNodes) -> Callable[[Any, Path, int], None]:
    """Waits until a command has written so many lines, and kills the second node while both are at work."""

    def kill(command: Any, out: Path, lines: int) -> None:
        until = time.monotonic() + 240
        while not (out.exists() and out.read_bytes().count(b"\n") >= lines):
            assert command.poll() is None, "the command has ended early"
            assert time.monotonic() < until, f"{out} has too few lines"
            time.sleep(0.02)
        assert two_nodes.at_work() == [True, True]
        two_nodes.kill()
        assert command.poll() is None, "the command had ended before the node was killed"

    return kill


@pytest.fixture
def jobs(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a file of so many jobs."""
    return lambda count: _write_jobs(tmp_path / "jobs.jsonl", count)


@pytest.fixture
def answers(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a file of so many answers."""
    return lambda count: _write_answers(tmp_path / "answers.jsonl", count)


def _write_jobs(path: Path, count: int) -> Path:
    """Programs of every verdict, each with a text of its own, so that nothing is answered from a cache."""
    rng = random.Random(7)
    bodies = [
        "print(sum(map(int, input().split())))",
        "a, b = map(int, input().split())\nprint(a - b)",
        "a, b = map(int, input().split())\nprint(a // (b - b))",
        "print(sum(map(int, input().split()))",
        "import sys\nprint('x' * 10**6)\nsys.exit(3)",
    ]
    with path.open("w") as out:
        for number in range(count):
            cases = []
            for _ in range(3):
                a, b = rng.randint(1, 10**6), rng.randint(1, 10**6)
                cases.append({"stdin": f"{a} {b}\n", "expected": str(a + b)})
            code = f"{bodies[number % len(bodies)]}\n# {number}\n"
            limits = {"output_kb": 64}
            out.write(json.dumps({"id": f"j{number}", "mode": "judge", "code": code, "tests": cases, "limits": limits}))
            out.write("\n")
    return path


def _write_answers(path: Path, count: int) -> Path:
    """Integers, fractions, surds, tuples, polynomials and letters; right, wrong and none."""
    rng = random.Random(11)
    with path.open("w") as out:
        for number in range(count):
            a, b, off = rng.randint(1, 99), rng.randint(2, 99), rng.randint(0, 1)
            kind, gold, response = [
                ("aime", f"{a:03}", f"Then \\boxed{{{a + off}}}."),
                ("math", f"\\frac{{{a}}}{{{b}}}", f"so \\boxed{{\\dfrac{{{2 * a}}}{{{2 * b + off}}}}}"),
                ("math", f"{a % 9}\\sqrt{{2}}", f"\\boxed{{\\sqrt{{2}} \\cdot {a % 9 + off}}}"),
                ("math", f"({a % 7},{b % 5})", f"Hence \\boxed{{({a % 7}, {b % 5 + off})}}"),
                ("math", f"x^2+{a % 9}x", f"\\boxed{{x(x+{a % 9 + off})}}"),
                ("choice", "ABCD"[a % 4], f"The answer is ({'ABCD'[(a + off) % 4]})."),
                ("math", f"{a}", "I do not know."),
            ][number % 7]
            out.write(json.dumps({"id": number, "kind": kind, "gold": gold, "response": response}) + "\n")
    return path
