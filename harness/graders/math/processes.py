"""The zygote and its workers as the caller sees them: started, spoken to, killed."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.graders.math.worker import frame_length
from harness.graders.math.zygote import PID

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "import harness.graders.math.zygote as zygote; zygote.main(int(sys.argv[1]))"
)


@dataclass(slots=True)
class Worker:
    """One worker: its process id, our end of its connection, and the zygote that reaps it."""

    pid: int
    connection: socket.socket
    zygote: "Zygote"

    def kill(self) -> None:
        """SIGKILL, then lets the zygote reap: until then the process id cannot belong to anybody else."""
        self.connection.close()
        if self.zygote.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.zygote.reap(self.pid)


class Zygote:
    """The parent's end of the forking process."""

    def __init__(self) -> None:
        self.closed = False
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _START,
                    str(theirs.fileno()),
                    json.dumps([p or str(Path.cwd()) for p in sys.path]),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )

    def fork(self) -> Worker:
        """Asks for one worker; raises OSError when the zygote is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [b"F"], [theirs.fileno()])
        reply = self.control.recv(PID.size)
        if len(reply) != PID.size:
            ours.close()
            raise ConnectionResetError("the process that forks the grading workers has ended")
        return Worker(PID.unpack(reply)[0], ours, self)

    def alive(self) -> bool:
        """Whether it still runs (a zygote that has ended has taken its workers with it)."""
        return not self.closed and self.process.poll() is None

    def reap(self, pid: int) -> None:
        """Lets the kernel forget a dead worker; until then its process id cannot belong to anyone else."""
        with contextlib.suppress(OSError):
            self.control.send(b"R" + PID.pack(pid))

    def close(self) -> None:
        """Ends the zygote and with it every worker."""
        self.closed = True
        self.control.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def abandon(self) -> None:
        """In a forked child: drops the parent's descriptor and leaves its processes alone."""
        self.closed = True
        self.control.close()
        self.process.returncode = 0  # so that Popen does not wait for a process that is not ours


class Exchange:
    """One frame out and one frame in."""

    def __init__(self, connection: socket.socket, frame: bytes) -> None:
        self._connection, self._unsent, self._received = connection, memoryview(frame), bytearray()

    def _ready(self, event: int, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        poll = select.poll()
        poll.register(self._connection, event)
        return bool(poll.poll(left * 1000))

    def _receive(self, size: int, deadline: float) -> bool:
        while len(self._received) < size:
            if not self._ready(select.POLLIN, deadline):
                return False
            part = self._connection.recv(size - len(self._received))
            if not part:
                raise ConnectionResetError("the worker died")
            self._received += part
        return True

    def finish(self, deadline: float) -> dict[str, Any] | None:
        """Returns the reply, or None at the deadline (``time.monotonic``); may be called again with a later one.

        Raises:
            OSError: The worker died.
        """
        while self._unsent:
            if not self._ready(select.POLLOUT, deadline):
                return None
            self._unsent = self._unsent[self._connection.send(self._unsent, socket.MSG_DONTWAIT) :]
        if not self._receive(4, deadline):
            return None
        end = 4 + frame_length(bytes(self._received[:4]))
        if not self._receive(end, deadline):
            return None
        reply: dict[str, Any] = json.loads(self._received[4:end])
        return reply


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far; infinity when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - on the path of every slow answer
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
