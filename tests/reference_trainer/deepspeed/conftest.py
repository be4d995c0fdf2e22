"""Starts ranks as their users do, and never leaves one behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

WORKER = str(Path(__file__).with_name("worker.py"))

pytest.importorskip("deepspeed", reason="an extra of its own: pip install 'ringlite[deepspeed]'")


@contextmanager
def started(ranks: int, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The worker on so many ranks under torchrun; on one without any launcher."""
    launcher = [sys.executable]
    if ranks > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    with log.open("wb") as output:
        job = subprocess.Popen(
            [*launcher, WORKER, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield job
        finally:
            kill_session(job)


def kill_session(job: subprocess.Popen[bytes]) -> None:
    """torchrun gives every rank a session of its own, so the ranks are found by their parent."""
    family = [job.pid]
    with suppress(psutil.NoSuchProcess):
        family += [child.pid for child in psutil.Process(job.pid).children(recursive=True)]
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    job.wait()


def finished(ranks: int, *arguments: str, log: Path, timeout: float = 600) -> str:
    """Runs to the end; the log. Fails with the log's end where the job fails."""
    with started(ranks, *arguments, log=log) as job:
        code = job.wait(timeout)
    text = log.read_text(errors="replace")
    assert code == 0, text[-6000:]
    return text
