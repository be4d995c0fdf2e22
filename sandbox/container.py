"""The driver's end of one worker: starts it, sends it jobs as descriptors, reads reports; knows nothing of verdicts."""

import contextlib
import json
import marshal
import math
import os
import select
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.errors import IsolationUnavailable
from sandbox.jail import report as reports
from sandbox.job import Limits
from sandbox.languages import Image
from sandbox.languages.python import interpreter

_KEEPER = Path(__file__).with_name("jail") / "keeper.py"
_START_TIMEOUT = 60.0
_GRACE = 30.0  # beyond every limit that the zygote enforces itself
_MAX_REPORT = 1 << 16
_MARK, _STOP = (marshal.dumps({"op": word}) for word in ("mark", "stop"))


class ContainerLost(Exception):
    """The worker died or does not answer: ours, never the program's fault."""


@dataclass(frozen=True)
class Confinement:
    """What a container is to enforce; decided once by the level and what the host has."""

    cgroup: bool
    userns: bool
    landlock: bool


@dataclass(frozen=True)
class Report:
    """What the zygote saw of a job: ``over`` names the limit it was ended for; ``status`` is that of waitpid."""

    over: str
    status: int | None
    cpu: float
    wall: float
    peak: int


@dataclass
class Job:
    """Descriptors and limits of one process tree. The container closes nothing: the caller owns the descriptors.

    ``standard``: payload, standard input, output, error. ``channels``: what else the guest gets, from descriptor 4 on.
    """

    guest: str
    standard: Sequence[int]
    limits: Limits
    channels: Sequence[int] = ()
    collect: Sequence[tuple[str, int]] = ()
    collect_kb: int = 0
    stack_mb: int | None = None
    repeats: int = 1
    extra: dict[str, Any] = field(default_factory=dict)

    def order(self) -> bytes:
        """The message to the zygote: figures and names only, nothing of the program."""
        limits = self.limits
        memory = limits.memory_mb << 20
        file_size = max(limits.file_kb, limits.output_kb + 1) * 1024
        order = {
            "guest": self.guest,
            "cpu": limits.time_s,
            "wall": wall_limit(limits),
            "memory": memory,
            "processes": limits.processes,
            "output": limits.output_kb * 1024,
            "file_size": file_size,
            "stack": (self.stack_mb << 20) if self.stack_mb else memory,
            "cpu_backstop": math.ceil(limits.time_s * self.repeats) + 2,
            "collect": [path for path, _ in self.collect],
            "collect_bytes": self.collect_kb * 1024,
        }
        return marshal.dumps(order)

    def descriptors(self) -> list[int]:
        """In the order of the numbers that they get: the payload is 3."""
        return [*self.standard[1:], self.standard[0], *self.channels, *(fd for _, fd in self.collect)]


def wall_limit(limits: Limits) -> float:
    """Wall-clock seconds; time spent waiting for a CPU is not counted, so a busy machine changes no verdict."""
    return limits.wall_s if limits.wall_s is not None else 3 * limits.time_s + 2


class Container:
    """One warm worker. Not thread-safe: whoever has leased it uses it alone."""

    def __init__(self, image: Image, scratch_kb: int, confinement: Confinement) -> None:
        self.image = image
        self.scratch_kb = scratch_kb
        self.healthy = True
        self.jobs = 0
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        driver = os.pidfd_open(os.getpid())
        self.control = control
        self._complaints = os.memfd_create("keeper")
        try:
            self.keeper = subprocess.Popen(
                [interpreter(), "-s", "-S", "-P", "-B", str(_KEEPER), str(theirs.fileno()), str(driver)],
                pass_fds=(theirs.fileno(), driver),
                env={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "LD_BIND_NOW": "1", **_loader_path()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                start_new_session=True,
                cwd="/",
            )
        except OSError:
            control.close()
            raise
        finally:
            theirs.close()
            os.close(driver)
        try:
            self._configure(confinement)
        except BaseException:
            self.close()
            raise

    def _configure(self, confinement: Confinement) -> None:
        image = self.image
        config = {
            "image": {
                "binds": image.binds,
                "hidden": image.hidden,
                "files": [[path, content.decode("latin-1")] for path, content in image.files],
                "links": image.links,
                "env": image.env,
                "preload": image.preload,
            },
            "scratch_kb": self.scratch_kb,
            "cgroup": confinement.cgroup,
            "userns": confinement.userns,
            "landlock": confinement.landlock,
        }
        self.control.send(marshal.dumps(config))
        self.control.settimeout(_START_TIMEOUT)
        try:
            answer = self.control.recv(_MAX_REPORT)
        except OSError as error:
            raise ContainerLost(f"a worker did not start within {_START_TIMEOUT:.0f} s: {error}") from error
        self.control.settimeout(None)
        if not answer:
            raise ContainerLost(f"a worker ended while starting (exit code {self.keeper.wait()}): {self._complaint()}")
        started = json.loads(answer)
        if "error" in started:
            raise IsolationUnavailable(
                f"a container cannot be set up: {started['error']}; `ringlite sandbox doctor` says what this host lacks"
            )
        self.baseline = int(started["baseline"])

    def _complaint(self) -> str:
        text = os.pread(self._complaints, 4096, 0).decode(errors="replace").strip()
        return text.splitlines()[-1] if text else "no message"

    def alive(self) -> bool:
        """Whether the worker is there."""
        return self.keeper.poll() is None

    def start(self, job: Job) -> None:
        """Hands over a job."""
        self.jobs += 1
        self._deadline = time.monotonic() + job.repeats * (20 * wall_limit(job.limits) + 60) + _GRACE
        try:
            socket.send_fds(self.control, [job.order()], job.descriptors())
        except OSError as error:
            self.healthy = False
            raise ContainerLost(f"a worker is gone: {error}") from error

    def has_report(self, within: float = 0.0) -> bool:
        """Whether the job has ended, or ends within these seconds, and its report waits to be read."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        return bool(poll.poll(within * 1000))

    def wait(self) -> Report:
        """Waits for the end of the job.

        Raises:
            ContainerLost: The worker died or is stuck.
        """
        return self._receive()

    def mark(self) -> Report:
        """Ends a case within a running job: the figures of the case, and fresh meters and limits for the next."""
        self._send(_MARK)
        answer = self._receive()
        if answer.over != "mark":
            raise JobEnded(answer)
        return Report("", None, answer.cpu, answer.wall, answer.peak)

    def stop(self) -> Report:
        """Ends the job, if it has not ended by itself."""
        self._send(_STOP)
        return self.wait()

    def _send(self, message: bytes) -> None:
        try:
            self.control.send(message)
        except OSError as error:
            self.healthy = False
            raise ContainerLost(f"a worker is gone: {error}") from error

    def _receive(self) -> Report:
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        answer = b""
        if poll.poll(min(max(0.0, self._deadline - time.monotonic()) * 1000, 2e9)):
            with contextlib.suppress(OSError):
                answer = self.control.recv(_MAX_REPORT)
        if not answer:
            self.healthy = False
            raise ContainerLost("a worker died or does not answer")
        try:
            over, status, cpu, wall, peak, healthy, trouble = reports.unpack(answer)
        except ValueError:  # the keeper's last words
            healthy, trouble = False, answer.decode("utf-8", "replace")
        self.healthy = self.healthy and healthy
        if trouble:
            self.healthy = False
            raise ContainerLost(f"a worker failed: {trouble}")
        return Report(over, status, cpu, wall, peak)

    def close(self) -> None:
        """Ends the worker and everything in it, and waits until it is gone."""
        self.healthy = False
        if self.control.fileno() < 0:
            return
        self.control.close()
        os.close(self._complaints)
        with contextlib.suppress(ProcessLookupError):
            self.keeper.terminate()
        try:
            self.keeper.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait()


class JobEnded(Exception):
    """The job ended where a mark was wanted; ``report`` is its last."""

    def __init__(self, report: Report) -> None:
        super().__init__("the job has ended")
        self.report = report


def _loader_path() -> dict[str, str]:
    """An interpreter with a shared libpython outside the loader's path needs what the running one was given."""
    path = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": path} if path else {}
