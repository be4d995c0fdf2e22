"""The Ray workers: one or more actors on every node, started, refused, lost and replaced."""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from harness.executors.cluster import Node, nodes
from harness.executors.executor import MakeWork
from harness.executors.host import Hello, Host

log = logging.getLogger("ringlite.executors")

THREADS = 8
"""CPUs of one worker at most: a node whose CPUs are partly taken still gets the workers that fit."""

CHUNKS = 3
"""Chunks in a worker at once: one that ends, one that runs, one that waits."""

START_TIMEOUT_S = 180.0
_STARTS = 3
_CLOSE_TIMEOUT_S = 5.0

Shares = Callable[[Node], Sequence[int]]
"""Threads of each worker that a node gets."""


def cpu_shares(limit: int | None = None) -> Shares:
    """Workers for all CPUs of a node, or for at most ``limit`` of them."""

    def shares(node: Node) -> Sequence[int]:
        cpus = min(node.cpus, limit or node.cpus)
        return [THREADS] * (cpus // THREADS) + [cpus % THREADS] * bool(cpus % THREADS)

    return shares


def gpu_shares(gpus: int) -> Shares:
    """One worker for every ``gpus`` GPUs of a node; one a node where the work needs none."""
    return lambda node: [1] * (node.gpus // gpus if gpus else min(1, node.cpus))


@dataclass(eq=False)
class Worker:
    """One actor. ``hello`` is None until it is ready."""

    node: Node
    share: int
    threads: int
    actor: Any
    greeting: Any  # reference to its hello
    hello: Hello | None = None
    chunks: int = 0
    lost: bool = False

    @property
    def name(self) -> str:
        """Its place, in words."""
        return f"{self.node.host} (node {self.node.id[:8]})"


@dataclass
class Fleet:
    """The workers of one executor.

    Attributes:
        ray: The connected package.
        make: Makes the work of a worker.
        shares: Which workers a node gets.
        gpus: GPUs that Ray reserves for a worker.
        reserve_cpus: Whether Ray reserves a CPU for each of its threads: not for work that only waits.
        environment: Variables that workers get, e.g. a key; they are not shown anywhere.
        workers: Those that are starting or ready.
        refused: Node id -> why nothing runs there.
        losses: Workers that died.
        described: What the first ready worker says that results depend on.
    """

    ray: Any
    make: MakeWork[Any, Any]
    shares: Shares
    gpus: int = 0
    reserve_cpus: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    losses: int = 0
    described: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self._starts: Counter[tuple[str, int]] = Counter()
        self._seen_ready = time.monotonic()

    @property
    def ready(self) -> list[Worker]:
        """Workers that can take chunks."""
        return [worker for worker in self.workers if worker.hello is not None]

    def look(self) -> list[Worker]:
        """Starts the workers that living nodes lack, new nodes included, and returns them."""
        there = {(worker.node.id, worker.share) for worker in self.workers}
        new = [
            self._start(node, share, threads)
            for node in nodes(self.ray)
            if node.id not in self.refused
            for share, threads in enumerate(self.shares(node))
            if (node.id, share) not in there
        ]
        self.workers += new
        return new

    def _start(self, node: Node, share: int, threads: int) -> Worker:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._starts[node.id, share] += 1
        actor = (
            self.ray.remote(Host)
            .options(
                num_cpus=threads if self.reserve_cpus else 0,
                num_gpus=self.gpus,
                max_restarts=0,
                max_concurrency=CHUNKS + 2,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote(self.make, threads, dict(self.environment))
        )
        return Worker(node, share, threads, actor, actor.hello.remote())

    def greet(self, worker: Worker, answer: "Future[Hello]") -> bool:
        """Takes a worker into service with what its greeting came to; returns whether. One that is set up otherwise
        than the first one is not: which results came from which could not be told afterwards.
        """
        if worker.lost:
            return False
        try:
            hello = answer.result()
        except self.ray.exceptions.RayError as error:
            if getattr(error, "actor_init_failed", False):  # its process cannot even import this package
                self.refuse(worker, str(error).strip().rpartition("\n")[2])
            else:
                self.lose(worker)
            return False
        if hello.refusal:
            self.refuse(worker, hello.refusal)
            return False
        if self.described is None:
            self.described = hello.description
        if hello.description != self.described:
            self.refuse(worker, f"it is set up differently: {_difference(self.described, hello.description)}")
            return False
        worker.hello = hello
        self._starts[worker.node.id, worker.share] = 0
        return True

    def problem(self) -> str:
        """Why the fleet will not get any worker; empty while it has one or may get one."""
        if self.ready:
            self._seen_ready = time.monotonic()
            return ""
        if not self.workers and self.refused:
            return f"no node of the Ray cluster can do the work: {'; '.join(dict.fromkeys(self.refused.values()))}"
        if time.monotonic() - self._seen_ready < START_TIMEOUT_S:
            return ""
        free, total = self.ray.available_resources(), self.ray.cluster_resources()
        kinds = ("CPU", "GPU") if self.gpus else ("CPU",)
        left = ", ".join(f"{free.get(kind, 0):g} of {total.get(kind, 0):g} {kind}s are free" for kind in kinds)
        return (
            f"no worker could be started on the Ray cluster within {START_TIMEOUT_S:g} s ({left}); wait for them, or "
            "ask for fewer with --workers"
        )

    def facts(self) -> dict[str, Any]:
        """The nodes at work, for the record of a run."""
        return {
            "name": "ray",
            "nodes": [
                {"node": worker.node.id[:8], "host": worker.node.host, "threads": worker.threads, **worker.hello.facts}
                for worker in list(self.workers)
                if worker.hello is not None
            ],
            "refused": {node[:8]: reason for node, reason in dict(self.refused).items()},
            "lost_workers": self.losses,
        }

    def refuse(self, worker: Worker, reason: str) -> None:
        """Takes a node out for good."""
        self.refused[worker.node.id] = reason
        log.warning("%s does no work: %s", worker.name, reason)
        for other in [other for other in self.workers if other.node.id == worker.node.id]:
            self.lose(other, counted=False)

    def lose(self, worker: Worker, counted: bool = True) -> None:
        """Takes a worker out; ``look`` replaces it while its node lives and it does not die again and again."""
        if worker.lost:
            return
        worker.lost = True
        self.workers.remove(worker)
        self.losses += counted
        self._kill(worker)
        if counted and self._starts[worker.node.id, worker.share] >= _STARTS:
            self.refuse(worker, f"a worker died {_STARTS} times while it started")

    def _kill(self, worker: Worker) -> None:
        with contextlib.suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.kill(worker.actor)

    def close(self) -> None:
        """Ends the workers, their own processes first."""
        endings = [worker.actor.close.remote() for worker in self.ready]
        if endings:
            with contextlib.suppress(self.ray.exceptions.RayError):
                self.ray.wait(endings, num_returns=len(endings), timeout=_CLOSE_TIMEOUT_S)
        for worker in self.workers:
            self._kill(worker)
        self.workers.clear()


def _difference(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first place where two nested mappings differ, in words."""
    for key in sorted({*first, *other}):
        here, there = first.get(key), other.get(key)
        if isinstance(here, Mapping) and isinstance(there, Mapping) and here != there:
            return f"{key}: {_difference(here, there)}"
        if here != there:
            return f"{key} is {there!r:.80}, elsewhere {here!r:.80}"
    return "nothing"
