"""Control groups of a worker, version 2 or 1: made by the keeper outside, read by the zygote through open files."""

import contextlib
import errno
import os
import time

_ROOT = "/sys/fs/cgroup"
_PREFIX = "ringlite-"
_V1_CONTROLLERS = ("memory", "pids", "cpuacct")


class Unavailable(Exception):
    """No control group can be had; the message says why and how to get one."""


def _own_paths() -> dict[str, str]:
    """Controller (or "" for version 2) -> path of the caller's group."""
    paths = {}
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            _, names, path = line.rstrip("\n").split(":", 2)
            for name in names.split(","):
                paths[name] = path
    return paths


def _mounts() -> dict[str, str]:
    """Controller (or "" for version 2) -> mount point."""
    found = {}
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            left, right = line.split(" - ", 1)
            kind, _, options = right.split()[:3]
            point = left.split()[4]
            if kind == "cgroup2":
                found[""] = point
            elif kind == "cgroup":
                found.update(dict.fromkeys(set(options.split(",")) & set(_V1_CONTROLLERS), point))
    return found


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _parents() -> tuple[int, dict[str, str]]:
    """The version to use and the directory to make groups in, a controller each."""
    mounts, own = _mounts(), _own_paths()
    if all(name in mounts for name in _V1_CONTROLLERS):
        return 1, {name: _writable(mounts[name], own.get(name, "/"), name) for name in _V1_CONTROLLERS}
    if "" in mounts:
        parent = _writable(mounts[""], own.get("", "/"), "version 2")
        _enable_v2(parent)
        return 2, {"": parent}
    raise Unavailable("no cgroup file system is mounted; mount one (mount -t cgroup2 none /sys/fs/cgroup)")


def _writable(mount: str, path: str, what: str) -> str:
    for candidate in dict.fromkeys((mount + path.rstrip("/"), mount)):
        if os.access(candidate, os.W_OK) and os.path.exists(f"{candidate}/cgroup.procs"):
            return candidate
        if os.geteuid() != 0:
            break
    raise Unavailable(
        f"the cgroup ({what}) at {mount}{path} is not writable for uid {os.geteuid()}; "
        "run as root or have one delegated (systemd-run --user --scope -p Delegate=yes ...)"
    )


def _enable_v2(parent: str) -> None:
    needed = {"memory", "pids"}
    missing = needed - set(_read(f"{parent}/cgroup.controllers").split())
    if missing:
        raise Unavailable(
            f"cgroup v2 at {parent} lacks the controllers {', '.join(sorted(missing))}; have them delegated"
        )
    if needed <= set(_read(f"{parent}/cgroup.subtree_control").split()):
        return
    try:
        _write(f"{parent}/cgroup.subtree_control", "+memory +pids")
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise Unavailable(f"cgroup v2 at {parent} cannot enable memory and pids: {error}") from None
        _evacuate(parent)
        _write(f"{parent}/cgroup.subtree_control", "+memory +pids")


def _evacuate(parent: str) -> None:
    """Version 2 wants processes in leaves only: moves those of ``parent`` into a child of it."""
    leaf = f"{parent}/{_PREFIX}host"
    with contextlib.suppress(FileExistsError):
        os.mkdir(leaf)
    for pid in _read(f"{parent}/cgroup.procs").split():
        with contextlib.suppress(OSError):
            _write(f"{leaf}/cgroup.procs", pid)


def probe() -> str:
    """``"v1"`` or ``"v2"``.

    Raises:
        Unavailable: Neither can be used; says why.
    """
    version, parents = _parents()
    for parent in parents.values():
        path = f"{parent}/{_PREFIX}probe-{os.getpid()}"
        try:
            os.mkdir(path)
            os.rmdir(path)
        except OSError as error:
            raise Unavailable(
                f"no group can be made in {parent}: {error.strerror}; run as root or delegate it"
            ) from None
    return f"v{version}"


def _start_time(pid: int) -> str:
    return _read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[19]


def sweep() -> None:
    """Removes groups whose keeper is gone (killed before it could do so itself)."""
    try:
        _, parents = _parents()
    except Unavailable:
        return
    for parent in parents.values():
        for name in os.listdir(parent):
            parts = name.split("-")
            if not name.startswith(_PREFIX) or len(parts) != 3 or not parts[1].isdigit():
                continue
            with contextlib.suppress(OSError):
                if _start_time(int(parts[1])) == parts[2]:
                    continue
            with contextlib.suppress(OSError):
                os.rmdir(f"{parent}/{name}")


class Group:
    """The groups of one worker, named after their keeper's pid and start time."""

    def __init__(self) -> None:
        self.version, parents = _parents()
        name = f"{_PREFIX}{os.getpid()}-{_start_time(os.getpid())}"
        self.paths = {controller: f"{parent}/{name}" for controller, parent in parents.items()}
        for path in self.paths.values():
            os.mkdir(path)

    def add(self, pid: int) -> None:
        """Moves a process in; its later children stay."""
        for path in self.paths.values():
            _write(f"{path}/cgroup.procs", str(pid))

    def open(self) -> "Meter":
        """Opens the files that the zygote reads and writes."""
        return Meter(self.version, self.paths)

    def remove(self) -> None:
        """Removes the groups once their last process is gone."""
        for path in self.paths.values():
            for _ in range(200):
                try:
                    os.rmdir(path)
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.005)
                else:
                    break


class Meter:
    """Open files of a group: they work on from inside the container, where the cgroup file system cannot be seen."""

    def __init__(self, version: int, paths: dict[str, str]) -> None:
        self.version = version
        memory = paths.get("memory", paths.get("", ""))
        pids = paths.get("pids", paths.get("", ""))

        def opened(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_CLOEXEC)

        def optional(path: str, flags: int) -> int:
            return opened(path, flags) if os.path.exists(path) else -1

        self._pids_max = opened(f"{pids}/pids.max", os.O_WRONLY)
        self._pids_now = opened(f"{pids}/pids.current", os.O_RDONLY)
        if version == 1:
            self._cpu = opened(f"{paths['cpuacct']}/cpuacct.usage", os.O_RDONLY)
            self._limit = opened(f"{memory}/memory.limit_in_bytes", os.O_WRONLY)
            self._swap = optional(f"{memory}/memory.memsw.limit_in_bytes", os.O_WRONLY)
            self._current = opened(f"{memory}/memory.usage_in_bytes", os.O_RDONLY)
            self._peak = opened(f"{memory}/memory.max_usage_in_bytes", os.O_RDWR)
            self._events = opened(f"{memory}/memory.oom_control", os.O_RDONLY)
        else:
            self._cpu = opened(f"{memory}/cpu.stat", os.O_RDONLY)
            self._limit = opened(f"{memory}/memory.max", os.O_WRONLY)
            self._swap = optional(f"{memory}/memory.swap.max", os.O_WRONLY)
            self._current = opened(f"{memory}/memory.current", os.O_RDONLY)
            self._peak = self._open_peak(f"{memory}/memory.peak")
            self._events = opened(f"{memory}/memory.events", os.O_RDONLY)
        self._limits: tuple[int, int] = (1 << 62, 0)  # a new group is unlimited

    @staticmethod
    def _open_peak(path: str) -> int:
        """memory.peak can be reset per open file from Linux 6.12; before, the peak is sampled."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return -1
        try:
            os.write(fd, b"reset")
        except OSError:
            os.close(fd)
            return -1
        return fd

    def set_limits(self, memory: int, processes: int) -> None:
        """Sets the memory limit in bytes and the number of tasks."""
        if (memory, processes) == self._limits:
            return
        os.pwrite(self._pids_max, str(processes).encode(), 0)
        value = str(memory).encode()
        if self.version == 1 and self._swap >= 0:
            # memory + swap may never be below memory, so the order depends on the direction.
            order = (self._swap, self._limit) if memory > self._limits[0] else (self._limit, self._swap)
            for fd in order:
                os.pwrite(fd, value, 0)
        else:
            os.pwrite(self._limit, value, 0)
            if self._swap >= 0:
                os.pwrite(self._swap, b"0", 0)
        self._limits = (memory, processes)

    def reset_peak(self) -> None:
        """The peak counts from now on."""
        if self._peak >= 0:
            os.pwrite(self._peak, b"0", 0)

    def peak(self) -> int:
        """Peak memory in bytes since the last reset; the current memory where the kernel cannot tell."""
        return int(os.pread(self._peak if self._peak >= 0 else self._current, 32, 0))

    def current(self) -> int:
        """Memory in bytes now."""
        return int(os.pread(self._current, 32, 0))

    def cpu(self) -> float:
        """CPU seconds of the group so far."""
        if self.version == 1:
            return int(os.pread(self._cpu, 32, 0)) / 1e9
        return int(os.pread(self._cpu, 128, 0).split(b"\n", 1)[0].split()[1]) / 1e6

    def alone(self) -> bool:
        """Whether one task is left in the group; one that nobody has waited for counts."""
        return os.pread(self._pids_now, 32, 0) == b"1\n"

    def oom_events(self) -> bytes:
        """The kernel's account of memory shortages in the group."""
        return os.pread(self._events, 256, 0)

    @staticmethod
    def oom_kills(events: bytes) -> int:
        """How often the kernel killed a process of the group for memory, by an account of ``oom_events``."""
        for line in events.split(b"\n"):
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
        return 0
