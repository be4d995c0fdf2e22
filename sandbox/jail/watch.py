"""Limits of one job, watched from the zygote: CPU and memory of the whole tree, wall clock, size of the output."""

import contextlib
import marshal
import os
import select
import signal
import time
from typing import Any

from sandbox.jail import report

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_IDLE = 1.0  # seconds between looks at a job that is far from its limits
_SAMPLE = 0.01  # seconds between samples of memory where no control group counts it
_OUTPUTS = (1, 2)  # the zygote has a job's descriptors under the same numbers
_WALL = 0x40000000  # __WALL: children of every kind
_CEILING = 20  # wall clock is given up at this multiple of its limit, however long the job waited for a CPU


class Watch:
    """Meters and bounds jobs, one at a time."""

    def __init__(self, meter: Any, proc: int, driver: int, control: Any) -> None:
        self.meter = meter
        self._proc = proc
        self._driver = driver
        self._control = control
        self._cpus = os.cpu_count() or 1
        self._order: dict[str, Any] = {}
        self._oom_events = meter.oom_events() if meter else b""
        self._base = meter.current() if meter else 0
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._poll.register(driver, select.POLLIN)

    def baseline(self) -> int:
        """Bytes that the warm interpreter itself holds."""
        return self._base

    def begin(self, order: dict[str, Any]) -> None:
        """Sets the limits of the next job and starts its meters."""
        if order is not self._order:
            self._order = order
            first = min(order["cpu"] / self._cpus, order["wall"], _IDLE)
            self._first_look = max(first if self.meter else min(first, _SAMPLE), 0.002) * 1000
        self._reaped_cpu = 0.0
        self._rss_peak = 0
        self._main_status: int | None = None
        if self.meter:
            # The job may use its whole limit, beside what the interpreter holds already.
            self.meter.set_limits(order["memory"] + self._base, order["processes"] + 1)
        self._restart()

    def _restart(self) -> None:
        self._start = time.monotonic()
        self._wall_until = self._start + self._order["wall"]
        if self.meter:
            self.meter.reset_peak()
            self._cpu_start = self.meter.cpu()
        else:
            self._cpu_start = 0.0
            self._cpu_start = self._cpu()

    def _cpu(self) -> float:
        """CPU seconds of the job since the start of the case."""
        if self.meter:
            return float(self.meter.cpu() - self._cpu_start)
        return float(self._reaped_cpu + sum(self._live_cpu(pid) for pid in self._pids()) - self._cpu_start)

    def _pids(self) -> list[str]:
        if self._proc < 0:
            return []
        return [name for name in os.listdir(self._proc) if name.isdigit() and name != "1"]

    def _read(self, path: str) -> str:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        try:
            return os.read(fd, 65536).decode("ascii", "replace")
        finally:
            os.close(fd)

    def _live_cpu(self, pid: str) -> float:
        try:
            fields = self._read(f"{pid}/stat").rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[11:15])) / _TICK

    def _memory(self) -> int:
        """Resident bytes of the tree; pages that forked processes share count once if the plain sum is too much."""
        total = 0
        for pid in self._pids():
            try:
                total += int(self._read(f"{pid}/statm").split()[1]) * _PAGE
            except (OSError, IndexError):
                continue
        if total > self._order["memory"]:
            total = sum(self._proportional(pid) for pid in self._pids())
        return total

    def _proportional(self, pid: str) -> int:
        try:
            for line in self._read(f"{pid}/smaps_rollup").splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
            return int(self._read(f"{pid}/statm").split()[1]) * _PAGE
        except (OSError, IndexError):
            try:
                return int(self._read(f"{pid}/statm").split()[1]) * _PAGE
            except (OSError, IndexError):
                return 0

    def _waited(self) -> float:
        """Seconds that the longest-waiting thread of the job was ready to run and got no CPU."""
        longest = 0
        for pid in self._pids():
            try:
                directory = os.open(f"{pid}/task", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
                try:
                    threads = os.listdir(directory)
                finally:
                    os.close(directory)
                for thread in threads:
                    longest = max(longest, int(self._read(f"{pid}/task/{thread}/schedstat").split()[1]))
            except (OSError, IndexError):
                continue
        return longest / 1e9

    def _over(self) -> str:
        """The limit that the job is over, or an empty string."""
        order = self._order
        if self._cpu() > order["cpu"]:
            return "cpu"
        now = time.monotonic()
        if now >= self._wall_until:
            lived = now - self._start
            idle = lived - self._waited()
            if idle >= order["wall"] or lived >= _CEILING * order["wall"] + 60:
                return "wall"
            self._wall_until = now + max(order["wall"] - idle, 0.01)
        if self.meter:
            if self._killed_for_memory():
                return "memory"
        else:
            self._rss_peak = max(self._rss_peak, self._memory())
            if self._rss_peak > order["memory"]:
                return "memory"
        if any(os.fstat(fd).st_size > order["output"] for fd in _OUTPUTS):
            return "output"
        return ""

    def _killed_for_memory(self) -> bool:
        """Whether the kernel killed a process of the job; the counter's file rarely changes, so it is rarely read."""
        events = self.meter.oom_events()
        if events == self._oom_events:
            return False
        return bool(self.meter.oom_kills(events) > self.meter.oom_kills(self._oom_events))

    def wait(self, pid: int) -> tuple[str, int | None, float, float, int]:
        """Waits for the end of the job, or ends it; afterwards none of its processes is left.

        Little is touched before the first look: each page written while the job runs is a page copied.

        Returns:
            The first arguments of ``report.pack``.
        """
        self._main = pid
        pidfd = os.pidfd_open(pid)
        self._poll.register(pidfd, select.POLLIN)
        events = self._poll.poll(self._first_look)
        over = ""
        while len(events) != 1 or events[0][0] != pidfd:
            ready = [fd for fd, _ in events]
            if self._driver in ready:
                os._exit(0)
            if self._control.fileno() in ready and not self._obey():
                over = "stopped"
            if pidfd in ready or over:
                break
            over = self._over()
            if over:
                break
            self._reap(os.WNOHANG)
            events = self._poll.poll(self._patience() * 1000)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        self._end(over)
        return self._report(over)

    def _patience(self) -> float:
        order = self._order
        left = min((order["cpu"] - self._cpu()) / self._cpus, self._wall_until - time.monotonic(), _IDLE)
        if not self.meter:
            left = min(left, _SAMPLE)
        return float(max(left, 0.002))

    def _obey(self) -> bool:
        """Handles a message of the driver in the middle of a job: ``mark`` ends a case and starts the meters afresh."""
        message = self._control.recv(4096)
        if not message:
            os._exit(0)
        order = marshal.loads(message)
        if order.get("op") != "mark":
            return False
        peak = self.meter.peak() if self.meter else max(self._rss_peak, self._memory())
        self._control.send(report.pack("mark", None, self._cpu(), time.monotonic() - self._start, peak))
        self._restart()
        return True

    def _reap(self, flags: int) -> bool:
        """Takes one ended process; False: there is none, or none has ended yet (``flags`` WNOHANG)."""
        try:
            if self.meter:  # it knows the figures
                pid, status = os.waitpid(-1, flags)
            else:
                pid, status, usage = os.wait4(-1, flags)
        except ChildProcessError:
            self._alone = True
            return False
        if pid == 0:
            return False
        if not self.meter:
            self._reaped_cpu += usage.ru_utime + usage.ru_stime
            self._rss_peak = max(self._rss_peak, usage.ru_maxrss * 1024)
        if pid == self._main:
            self._main_status = status
        return True

    def _end(self, over: str) -> None:
        """Kills and reaps. Orphans become children of process 1, so without a child there is nothing left to kill."""
        self._alone = False
        if not over:
            while self._reap(os.WNOHANG | _WALL):
                if self.meter and self.meter.alone():
                    return
        if self._alone:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        while self._reap(_WALL):
            pass

    def _report(self, over: str) -> tuple[str, int | None, float, float, int]:
        wall = time.monotonic() - self._start
        if self.meter:
            cpu, peak = self._cpu(), self.meter.peak()
            killed_for_memory = self._killed_for_memory()
            self._oom_events = self.meter.oom_events() if killed_for_memory else self._oom_events
        else:
            cpu, peak = self._reaped_cpu - self._cpu_start, self._rss_peak
            killed_for_memory = peak > self._order["memory"]
        if killed_for_memory:
            over = "memory"
        elif over in ("", "memory") and any(_size(fd) > self._order["output"] for fd in _OUTPUTS):
            over = "output"
        return over, self._main_status, cpu, wall, peak


def _size(fd: int) -> int:
    """Bytes of a file that nobody writes to any more; 0 for what is no file."""
    try:
        return os.lseek(fd, 0, os.SEEK_END)
    except OSError:
        return 0
