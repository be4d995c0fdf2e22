"""The warm interpreter of a container, process 1: forks a job, watches its limits, kills and reaps, cleans, reports.

It never reads what belongs to a job: programs, arguments and inputs pass through as file descriptors, so the memory
that the next job inherits holds nothing of the last one.
"""

import _socket
import gc
import json
import marshal
import os
import resource
import select
import signal
import sys
from typing import Any, NoReturn

from sandbox.guest import program
from sandbox.jail import child, dense, landlock, report, root, scratch, seccomp, warmup
from sandbox.jail import syscalls as sc
from sandbox.jail.watch import Watch

FIRST_OWN_FD = 100
"""Those of the zygote begin here, so that what a job is sent arrives under the numbers that the job has it under."""
_THREAD_STACK = 8 << 20
_FD_SPACE = _socket.CMSG_SPACE(64 * 4)


def run(
    config: dict[str, Any], control: _socket.socket, driver: int, meter: Any, sync: _socket.socket, base: int
) -> NoReturn:
    """Confines the caller and serves jobs until the driver goes away.

    Args:
        config: The image, the scratch size and what the level asks for.
        control: Sequenced-packet socket to the driver.
        driver: A pidfd of the driver.
        meter: Open control group files; None where there is no group.
        sync: Stream socket to the keeper.
        base: First host uid of the range that the container gets; -1: a single uid, mapped already.
    """
    sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    sync.recv(1)
    proc = _confine(config, sync, base)
    sync.close()
    sys.path[1:1] = [p for p in dict(config["image"]["env"]).get("PYTHONPATH", "").split(":") if p]
    # Before the preload: OpenBLAS reads its number of threads when NumPy is loaded, and threads do not survive a fork.
    os.environ.update({k: v for k, v in dict(config["image"]["env"]).items() if k.endswith("_NUM_THREADS")})
    for name in config["image"]["preload"]:
        __import__(name)
    program.settle(dict(config["image"]["env"]))
    if config["image"]["preload"]:  # Python's own images; the others have no library of it
        warmup.run()
    if config["landlock"]:
        landlock.restrict(
            (*root.SCRATCH, "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/proc")
        )
    sc.install_filter(seccomp.program(memfd=meter is not None))
    sc.prctl(sc.PR_SET_DUMPABLE, 1)  # without it /proc/self is somebody else's
    volunteer = _Volunteer()
    _forget_ourselves()
    gc.collect()
    if config["image"]["preload"]:
        dense.settle()
    sc.prctl(sc.PR_SET_DUMPABLE, 0)
    os.chdir("/box")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 cannot be signalled from inside by what it does not handle
    sc.set_thread_stack(_THREAD_STACK)
    child.fix_limits()
    watch = Watch(meter, proc, driver, control)
    gc.collect()
    gc.freeze()
    _serve(control, driver, watch, base < 0, volunteer)


def _confine(config: dict[str, Any], sync: _socket.socket, base: int) -> int:
    privileged = base >= 0
    sc.unshare(sc.CLONE_NEWNS | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS | sc.CLONE_NEWNET | sc.CLONE_NEWCGROUP)
    _socket.sethostname("sandbox")
    owner = base if privileged and config["userns"] else -1
    proc = root.build(config["image"], config["scratch_kb"], owner)
    if privileged:
        os.setgroups([])
    if privileged and config["userns"]:
        sc.unshare(sc.CLONE_NEWUSER)
        sync.sendall(b"u")
        sync.recv(1)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    # chown, dac_override, fowner, kill, setgid, setuid: what cleaning up and starting a job takes
    kept = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7
    for capability in range(64):
        if not kept >> capability & 1:
            try:
                sc.prctl(sc.PR_CAPBSET_DROP, capability)
            except OSError:
                break
    sc.set_capabilities(kept)
    sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)  # changing credentials has cleared it
    return proc


def _forget_ourselves() -> None:
    """A job finds no trace of the engine among its modules."""
    for name in [n for n in sys.modules if n == "sandbox" or n.startswith("sandbox.")]:
        sys.modules.pop(name, None)
    sys.path[:] = [p for p in sys.path if os.path.isdir(p)]


class _Volunteer:
    """Has the kernel choose a job, not the interpreter that it comes from, when memory runs out.

    A child inherits the score, so the zygote wears that of a job for the moment of the fork: with its file open, that
    is cheaper than each job opening a file of its own.
    """

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        self._own = os.read(self._fd, 16).strip()

    def step_forward(self) -> None:
        """Takes the score of a job."""
        os.pwrite(self._fd, b"1000", 0)

    def step_back(self) -> None:
        """Takes its own score again."""
        os.pwrite(self._fd, self._own, 0)


def _serve(control: _socket.socket, driver: int, watch: Watch, single_uid: bool, volunteer: _Volunteer) -> NoReturn:
    clean = scratch.Scratch(root.SCRATCH)
    ceiling = resource.getrlimit(resource.RLIMIT_STACK)[1]
    ceiling = ceiling if ceiling != resource.RLIM_INFINITY else 1 << 62
    trouble, trouble_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(driver, select.POLLIN)
    control.send(json.dumps({"ready": os.getpid(), "baseline": watch.baseline()}).encode())
    grouped = watch.meter is not None
    known = b""
    order: dict[str, Any] = {}
    steps: tuple[Any, ...] = ()
    collect: list[str] = []
    os.closerange(0, FIRST_OWN_FD)
    while True:
        for ready, _ in poll.poll():
            if ready == driver:
                os._exit(0)
        message, ancillary, _, _ = control.recvmsg(1 << 16, _FD_SPACE)
        if not message:
            os._exit(0)
        if not ancillary:  # meant for a job that ended before it arrived
            continue
        count = _count(ancillary)
        if message != known:  # a worker mostly gets the same order: it says nothing of the program
            order, known = marshal.loads(message), message
            order["stack"] = min(order["stack"], ceiling)
            order["processes"] += 2 if single_uid else 0  # keeper and zygote share the uid there
            steps = child.steps_of(order, single_uid, grouped)
            collect = order["collect"]
        watch.begin(order)
        if grouped:
            volunteer.step_forward()
        pid = os.fork()
        if pid == 0:
            child.start(steps, count - len(collect), trouble_in)
        if grouped:
            volunteer.step_back()
        seen = watch.wait(pid)
        for path, fd in zip(collect, range(count - len(collect), count), strict=True):
            scratch.collect(path, fd, order["collect_bytes"])
        os.closerange(0, count)
        control.send(report.pack(*seen, clean.wipe(), _read_trouble(trouble) if seen[1] else b""))


def _count(ancillary: list[tuple[int, int, bytes]]) -> int:
    """How many descriptors have arrived: 0, 1, 2 and so on, the lowest that were free."""
    count = 0
    for _, _, data in ancillary:
        for fd in memoryview(data).cast("i"):
            if fd != count:
                raise RuntimeError(f"descriptor {fd} arrived where {count} was free")
            count += 1
    return count


def _read_trouble(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""
