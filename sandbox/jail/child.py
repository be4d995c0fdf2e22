"""The first steps of a job in its own process: descriptors, limits, identity; then the guest takes over.

Every object that a step is the first to use is a page to copy, so there are few: no helper, no attribute of a module.
"""

import _signal  # type: ignore[import-not-found]  # the C part of signal; typeshed does not list it
import os
import resource
from marshal import loads
from os import _exit, close, closerange, lseek, pread, setresgid, setresuid, setsid
from resource import setrlimit
from typing import Any, NoReturn

from sandbox.guest import calls, examiner, module, program, tests
from sandbox.jail import syscalls as sc
from sandbox.jail.syscalls import raw_prctl

JOB_ID = 1000
_PAYLOAD, _FIRST_CHANNEL = 3, 4
_HIGHEST = 1 << 16
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


def steps_of(order: dict[str, Any], single_uid: bool, grouped: bool) -> tuple[Any, ...]:
    """What ``start`` takes, read from the order by the zygote, where that costs no page."""
    limits = [(resource.RLIMIT_STACK, order["stack"]), (resource.RLIMIT_NPROC, order["processes"])]
    if not grouped:
        limits.append((resource.RLIMIT_CPU, order["cpu_backstop"]))
    both = tuple((name, (value, value)) for name, value in limits)
    return both, (order["file_size"], order["file_size"]), _GUESTS.get(order["guest"]), single_uid


def start(steps: tuple[Any, ...], last: int, trouble: int) -> NoReturn:
    """Turns the forked process into a job; never returns.

    ``steps``: from ``steps_of``. Descriptors from 0 on: stdin, stdout, stderr, payload, channels..., up to below
    ``last``; no other but ``trouble`` survives. What goes wrong before the job's own code begins is told through
    ``trouble``, which is closed by then: that is ours, not the job's.
    """
    code = 1
    try:
        try:
            closerange(last, trouble)
            closerange(trouble + 1, _HIGHEST)
            setsid()
            limits, file_size, guest, single_uid = steps
            for name, value in limits:
                setrlimit(name, value)
            if single_uid:
                sc.set_capabilities(0)
            else:
                setresgid(JOB_ID, JOB_ID, JOB_ID)
                setresuid(JOB_ID, JOB_ID, JOB_ID)
            inward, args, env, files, body = loads(pread(_PAYLOAD, lseek(_PAYLOAD, 0, 2), 0))
            close(_PAYLOAD)
            if not inward:
                raw_prctl(sc.PR_SET_DUMPABLE, 1, 0, 0, 0)  # /proc/self belongs to the job again, as /dev/stdin needs
                if guest:  # the function of the module signal wraps numbers in enumerations: 40 pages for each job
                    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
            if files:
                _write_files(files)
            setrlimit(resource.RLIMIT_FSIZE, file_size)
        except BaseException as error:
            os.write(trouble, f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:4000])
            _exit(1)
        close(trouble)
        if guest:
            if args or env:
                program.prepare(args, env)
            code = guest(body, _FIRST_CHANNEL)
        else:
            code = _execute(body, env or {})
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        _exit(code)


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


def _execute(argv: list[str], env: dict[str, str]) -> int:
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execve(argv[0], argv, env)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        return 127
