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
from sandbox.jail import child, landlock, root, scratch, seccomp
from sandbox.jail import syscalls as sc
from sandbox.jail.watch import Watch

_FIRST_JOB_FD = (
    40  # descriptors below are the zygote's own or placeholders, so that a child can renumber its own freely
)
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
    if config["landlock"]:
        landlock.restrict(
            (*root.SCRATCH, "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/proc")
        )
    sc.install_filter(seccomp.program(memfd=meter is not None))
    sc.prctl(sc.PR_SET_DUMPABLE, 0)
    for fd in range(3, _FIRST_JOB_FD):
        try:
            os.fstat(fd)
        except OSError:
            os.dup2(0, fd)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 cannot be signalled from inside by what it does not handle
    sc.set_thread_stack(_THREAD_STACK)
    child.fix_limits()
    _forget_ourselves()
    gc.collect()
    gc.freeze()
    _serve(control, driver, Watch(meter, proc, driver, control), single_uid=base < 0)


def _confine(config: dict[str, Any], sync: _socket.socket, base: int) -> int:
    privileged = base >= 0
    sc.unshare(sc.CLONE_NEWNS | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS | sc.CLONE_NEWNET | sc.CLONE_NEWCGROUP)
    _socket.sethostname("sandbox")
    owner = base if privileged and config["userns"] else -1
    proc = root.build(config["image"], config["scratch_kb"], owner)
    if privileged and config["userns"]:
        sc.unshare(sc.CLONE_NEWUSER)
        sync.sendall(b"u")
        sync.recv(1)
        os.setgroups([])
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


def _serve(control: _socket.socket, driver: int, watch: Watch, single_uid: bool) -> NoReturn:
    clean = scratch.Scratch(root.SCRATCH)
    ceiling = resource.getrlimit(resource.RLIMIT_STACK)[1]
    ceiling = ceiling if ceiling != resource.RLIM_INFINITY else 1 << 62
    trouble, trouble_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(driver, select.POLLIN)
    control.send(json.dumps({"ready": os.getpid(), "baseline": watch.baseline()}).encode())
    while True:
        events = dict(poll.poll())
        if driver in events:
            os._exit(0)
        message, ancillary, _, _ = control.recvmsg(1 << 16, _FD_SPACE)
        if not message:
            os._exit(0)
        fds = _descriptors(ancillary)
        order = marshal.loads(message)
        if "op" in order:  # meant for a job that ended before it arrived
            continue
        order["stack_ceiling"] = ceiling
        watch.begin(order)
        pid = os.fork()
        if pid == 0:
            child.start(order, fds, trouble_in, single_uid, watch.meter is not None)
        report = watch.wait(pid, fds[2:4])
        first = len(fds) - len(order["collect"])
        for path, fd in zip(order["collect"], fds[first:], strict=True):
            scratch.collect(path, fd, order["collect_bytes"])
        for fd in fds:
            os.close(fd)
        report["healthy"] = clean.wipe()
        if report["status"]:
            report["trouble"] = _read_trouble(trouble)
        control.send(json.dumps(report).encode())


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    data = b"".join(part for _, _, part in ancillary)
    return [int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4)]


def _read_trouble(fd: int) -> str:
    try:
        return os.read(fd, 4096).decode("utf-8", "replace")
    except BlockingIOError:
        return ""
