"""One command from start to end, with everything below it: wall time, CPU, and memory as it grows."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.perf.sandbox_meter import descendants

_INTERVAL_S = 0.1
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_RSS = re.compile(rb"^Rss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process tree at one moment (``time.monotonic``), MiB.

    Attributes:
        at: When.
        pss: Pages of the tree, each counted once (proportional set size).
        rss: Sum of the resident sets: what several processes share is counted in each.
    """

    at: float
    pss: float
    rss: float


def memory(pid: int) -> Memory:
    """Memory of a process and of everything below it, now."""
    pss = rss = 0
    for one in descendants(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_bytes()
        except OSError:  # it has just ended
            continue
        for pattern in (_PSS, _RSS):
            found = pattern.search(rollup)
            if found and pattern is _PSS:
                pss += int(found[1])
            elif found:
                rss += int(found[1])
    return Memory(time.monotonic(), pss / 1024, rss / 1024)


@dataclass
class Measured:
    """What a command took.

    Attributes:
        wall: Seconds from start to end.
        cpu: Seconds of CPU of the tree: user and system, of all processes that were waited for.
        curve: Memory over time.
        output: Standard output and error.
        started: ``time.monotonic`` of the start.
    """

    wall: float = 0.0
    cpu: float = 0.0
    curve: list[Memory] = field(default_factory=list)
    output: str = ""
    started: float = 0.0

    @property
    def peak(self) -> Memory:
        """The moment of the highest PSS."""
        return max(self.curve, key=lambda moment: moment.pss)

    def at(self, moment: float) -> Memory:
        """Memory at the last look before ``moment``; the first look where there is none."""
        return max((m for m in self.curve if m.at <= moment), key=lambda m: m.at, default=self.curve[0])


def measure(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, interval: float = _INTERVAL_S
) -> Measured:
    """Runs a command in a folder and watches it.

    Raises:
        SystemExit: It failed; with the end of its output.
    """
    done = Measured()
    log = folder / "output.txt"
    with log.open("wb") as output:
        done.started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(interval):
                done.curve.append(memory(process.pid))

        done.curve.append(memory(process.pid))
        watcher = threading.Thread(target=watch)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        done.wall = time.monotonic() - done.started
        ended.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
    done.cpu = usage.ru_utime + usage.ru_stime
    done.output = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ... failed ({process.returncode}):\n{done.output[-3000:]}")
    return done
