"""The first steps of a job in its own process: descriptors, limits, identity; then the guest takes over."""

import json
import os
import resource
from typing import Any, NoReturn

from sandbox.guest import calls, module, program, tests
from sandbox.jail import syscalls as sc

JOB_ID = 1000
_PAYLOAD, _FIRST_CHANNEL = 3, 4
_GUESTS = {"program": program.main, "calls": calls.main, "module": module.main, "tests": tests.main}
_FIXED_LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NOFILE, 512),
    (resource.RLIMIT_MEMLOCK, 65536),
    (resource.RLIMIT_MSGQUEUE, 0),
)


def start(order: dict[str, Any], fds: list[int], single_uid: bool, grouped: bool) -> NoReturn:
    """Turns the forked process into the job described by ``order``; never returns.

    ``fds``: payload, stdin, stdout, stderr, channels..., files to collect into (the zygote's business).
    """
    code = 70
    try:
        _descriptors(fds[: len(fds) - len(order["collect"])])
        os.setsid()
        _limits(order, grouped, single_uid)
        _identity(single_uid)
        if grouped:
            _volunteer_for_oom()
        os.chdir("/box")
        header, blobs = _payload()
        _write_files(header["files"], blobs)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], order["file_size"]))
        if order["guest"] == "exec":
            _execute(header)
        code = _GUESTS[order["guest"]](header, blobs, _FIRST_CHANNEL)
    except BaseException as error:  # noqa: BLE001 - the process must end here, whatever happens
        os.write(2, f"sandbox: {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _descriptors(fds: list[int]) -> None:
    payload, stdin, stdout, stderr, *channels = fds
    for source, target in ((stdin, 0), (stdout, 1), (stderr, 2), (payload, _PAYLOAD)):
        os.dup2(source, target)
    for number, channel in enumerate(channels, _FIRST_CHANNEL):
        os.dup2(channel, number, inheritable=False)
    os.closerange(_FIRST_CHANNEL + len(channels), 1 << 16)


def _limits(order: dict[str, Any], grouped: bool, single_uid: bool) -> None:
    for name, value in _FIXED_LIMITS:
        resource.setrlimit(name, (value, value))
    stack = order["stack"]
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if hard != resource.RLIM_INFINITY:
        stack = min(stack, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))
    processes = order["processes"] + (2 if single_uid else 0)  # keeper and zygote share the uid there
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    if not grouped and order["cpu_backstop"]:
        resource.setrlimit(resource.RLIMIT_CPU, (order["cpu_backstop"], order["cpu_backstop"]))


def _identity(single_uid: bool) -> None:
    if single_uid:
        sc.set_capabilities(0)
    else:
        os.setgroups([])
        os.setresgid(JOB_ID, JOB_ID, JOB_ID)
        os.setresuid(JOB_ID, JOB_ID, JOB_ID)
    sc.prctl(sc.PR_SET_DUMPABLE, 1)  # /proc/self belongs to the job again, as /dev/stdin needs


def _volunteer_for_oom() -> None:
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(fd, b"1000")
    os.close(fd)


def _payload() -> tuple[dict[str, Any], list[bytes]]:
    data = os.pread(_PAYLOAD, os.fstat(_PAYLOAD).st_size, 0)
    os.close(_PAYLOAD)
    size = int.from_bytes(data[:4], "big")
    header: dict[str, Any] = json.loads(data[4 : 4 + size])
    blobs, at = [], 4 + size
    for length in header["blobs"]:
        blobs.append(data[at : at + length])
        at += length
    return header, blobs


def _write_files(files: list[list[Any]], blobs: list[bytes]) -> None:
    """Writes the job's files below /box: ``[path, number of the blob, executable]`` each."""
    for path, number, executable in files:
        if "/" in path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o755 if executable else 0o644)
        view = memoryview(blobs[number])
        while view:
            view = view[os.write(fd, view) :]
        os.close(fd)


def _execute(header: dict[str, Any]) -> NoReturn:
    import signal

    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.execve(header["argv"][0], header["argv"], header["env"])


