"""The first steps of a job in its own process: descriptors, limits, identity; then the guest takes over."""

import _signal  # type: ignore[import-not-found]  # the C part of signal; typeshed does not list it
import marshal
import os
import resource
from typing import Any, NoReturn

from sandbox.guest import calls, examiner, module, program, tests
from sandbox.jail import syscalls as sc

JOB_ID = 1000
_PAYLOAD, _FIRST_CHANNEL = 3, 4
_GUESTS = {
    "program": program.main,
    "calls": calls.main,
    "module": module.main,
    "tests": tests.main,
    "examiner": examiner.serve,
}
_FIXED_LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NOFILE, 512),
    (resource.RLIMIT_MEMLOCK, 65536),
    (resource.RLIMIT_MSGQUEUE, 0),
)


def fix_limits() -> None:
    """Limits that are the same for all jobs: set once by the zygote, inherited by each."""
    for name, value in _FIXED_LIMITS:
        resource.setrlimit(name, (value, value))


def start(order: dict[str, Any], fds: list[int], trouble: int, single_uid: bool, grouped: bool) -> NoReturn:
    """Turns the forked process into the job described by ``order``; never returns.

    ``fds``: payload, stdin, stdout, stderr, channels..., files to collect into (the zygote's business). What goes wrong
    before the job's own code begins is told through ``trouble``, which is closed by then: that is ours, not the job's.
    """
    code = 1
    try:
        try:
            if order["collect"]:
                del fds[-len(order["collect"]) :]
            trouble = _descriptors(fds, trouble)
            header = _set_up(order, single_uid, grouped)
            guest = _GUESTS.get(order["guest"])
        except BaseException as error:
            os.write(trouble, f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:4000])
            os._exit(1)
        os.close(trouble)
        if guest:  # the function of the module signal wraps numbers in enumerations: 40 pages for each job
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        code = guest(header, _FIRST_CHANNEL) if guest else _execute(header)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _set_up(order: dict[str, Any], single_uid: bool, grouped: bool) -> dict[str, Any]:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_STACK, (order["stack"], order["stack"]))
    resource.setrlimit(resource.RLIMIT_NPROC, (order["processes"], order["processes"]))
    if not grouped:
        resource.setrlimit(resource.RLIMIT_CPU, (order["cpu_backstop"], order["cpu_backstop"]))
    _identity(single_uid)
    header: dict[str, Any] = marshal.loads(os.pread(_PAYLOAD, os.lseek(_PAYLOAD, 0, os.SEEK_END), 0))
    os.close(_PAYLOAD)
    _write_files(header["files"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], order["file_size"]))
    return header


def _descriptors(fds: list[int], trouble: int) -> int:
    """Renumbers what the job gets and closes everything else; returns the new number of ``trouble``."""
    os.dup2(fds[1], 0)
    os.dup2(fds[2], 1)
    os.dup2(fds[3], 2)
    os.dup2(fds[0], _PAYLOAD)
    last = _FIRST_CHANNEL
    for channel in fds[4:]:
        os.dup2(channel, last, False)
        last += 1
    os.dup2(trouble, last, False)
    os.closerange(last + 1, 1 << 16)
    return last


def _identity(single_uid: bool) -> None:
    if single_uid:
        sc.set_capabilities(0)
    else:
        os.setresgid(JOB_ID, JOB_ID, JOB_ID)
        os.setresuid(JOB_ID, JOB_ID, JOB_ID)
    sc.raw_prctl(sc.PR_SET_DUMPABLE, 1, 0, 0, 0)  # /proc/self belongs to the job again, as /dev/stdin needs


def _write_files(files: list[tuple[str, bytes, bool]]) -> None:
    """Writes the job's files below /box: path, content, whether it can be executed."""
    for path, content, executable in files:
        if "/" in path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o755 if executable else 0o644)
        written = os.write(fd, content)
        while written < len(content):
            written += os.write(fd, content[written:])
        os.close(fd)


def _execute(header: dict[str, Any]) -> int:
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execve(header["argv"][0], header["argv"], header["env"])
    except OSError as error:
        os.write(2, f"{header['argv'][0]}: {error.strerror}\n".encode())
        return 127
