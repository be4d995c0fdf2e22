"""Interleaved passes of contenders, each in a lean process of its own; CPU of whole process trees is compared."""

import contextlib
import marshal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.perf.sandbox_meter import tree_cpu_ms

_SCRIPT = Path(__file__).with_name("sandbox_contender.py")


@dataclass(frozen=True)
class Contender:
    """``kind``: which of ``sandbox_contender.KINDS``; ``items``: its work, plain data.

    ``parts``: what an item counts for, e.g. its cases. ``only``: takes part with this many workers.
    """

    kind: str
    items: list[Any]
    parts: int = 1
    only: int | None = None


@dataclass(frozen=True)
class Pass:
    """One pass over the work: CPU milliseconds of the process tree, seconds, items not accepted."""

    cpu_ms: float
    seconds: float
    not_accepted: int


class Running:
    """A contender's process, waiting for work."""

    def __init__(self, contender: Contender, workers: int, folder: Path, name: str) -> None:
        self.items = len(contender.items)
        path = folder / f"{name}.work"
        path.write_bytes(marshal.dumps(contender.items))
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT), contender.kind, str(workers), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def work(self, items: int) -> Pass:
        """One pass over the first ``items``. Everything below the process is counted, dead or alive."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        before = tree_cpu_ms(self.process.pid)
        self.process.stdin.write(f"{items}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            raise RuntimeError(f"a contender ended: {self.process.args!r}")
        return Pass(tree_cpu_ms(self.process.pid) - before, float(answer[0]), int(answer[1]))

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


@contextlib.contextmanager
def running(contenders: dict[str, Contender], workers: int) -> Iterator[dict[str, Running]]:
    """Starts the contenders that take part with ``workers``."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        found = {}
        for number, (name, contender) in enumerate(contenders.items()):
            if contender.only in (None, workers):
                found[name] = Running(contender, workers, Path(folder), str(number))
                stack.callback(found[name].close)
        yield found


def race(contenders: dict[str, Contender], rounds: int, workers: int) -> dict[str, dict[str, Any]]:
    """``rounds`` interleaved passes of every contender, after a short one to warm up.

    The figures are a part: median, best and first CPU milliseconds; in the first pass nobody has seen the items before.
    ``per_s``: the best.
    """
    passes: dict[str, list[Pass]] = {}
    with running(contenders, workers) as found:
        for one in found.values():
            one.work(4)
        for _ in range(rounds):
            for name, one in found.items():
                passes.setdefault(name, []).append(one.work(one.items))
    table = {}
    for name, results in passes.items():
        count = len(contenders[name].items) * contenders[name].parts
        cpu = sorted(one.cpu_ms / count for one in results)
        table[name] = {
            "cpu_ms": round(cpu[len(cpu) // 2], 2),
            "cpu_ms_best": round(cpu[0], 2),
            "cpu_ms_first": round(results[0].cpu_ms / count, 2),
            "per_s": round(count / min(one.seconds for one in results), 1),
            "not_accepted": max(one.not_accepted for one in results),
        }
    return table
