"""One process tree of a job, from bytes to bytes: packed into descriptors, run by a container, read back."""

import contextlib
import fcntl
import marshal
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from sandbox.container import Container, Job, Report
from sandbox.job import Limits
from sandbox.languages import Command, Ending, Image, Outcome, Program
from sandbox.languages.python import is_inward

_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE
_F_ADD_SEALS = 1033
_NONE: Mapping[str, Any] = MappingProxyType({})


def sealed(content: bytes) -> int:
    """An in-memory file that nobody can change any more, positioned at its start."""
    fd = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd


def empty() -> int:
    """An in-memory file to be written by a job."""
    return os.memfd_create("sandbox", os.MFD_CLOEXEC)


def read(fd: int, limit: int) -> tuple[bytes, int]:
    """The first ``limit`` bytes of an in-memory file, and how many more there are."""
    size = os.fstat(fd).st_size
    if not size:
        return b"", 0
    return os.pread(fd, min(size, limit), 0), max(0, size - limit)


@contextlib.contextmanager
def closing(fds: list[int]) -> Iterator[list[int]]:
    """Closes the descriptors in the list at the end, whatever was added meanwhile."""
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def pack(
    body: Any,
    files: Mapping[str, bytes] = _NONE,
    executables: Sequence[str] = (),
    *,
    args: Sequence[str] = (),
    env: Mapping[str, str] = _NONE,
    inward: bool = False,
) -> int:
    """The payload of a job: what its guest wants to know, and its files. The zygote never reads it.

    ``inward``: of a program that asks nothing of the system, see ``languages.python.is_inward``.
    """
    listed = [(name, content, name in executables) for name, content in files.items()] if files else ()
    return sealed(marshal.dumps((inward, list(args) if args else (), dict(env) if env else (), listed, body)))


def pack_python(
    body: Any,
    code: str,
    path: str,
    files: Mapping[str, bytes],
    *,
    args: Sequence[str] = (),
    env: Mapping[str, str] = _NONE,
) -> int:
    """The payload of a Python program. ``path``: where it finds its own source, which is there only if it can look."""
    inward = is_inward(code) and "/" not in path
    if not inward:
        files = {**files, path: code.encode("utf-8", "surrogatepass")}
    return pack(body, files, args=args, env=env, inward=inward)


@dataclass(frozen=True)
class Prepared:
    """A program packed once and started any number of times. ``limits``: as its language adapts them."""

    guest: str
    packed: int
    limits: Limits
    stack_mb: int | None = None


def prepare(program: Program, limits: Limits, args: Sequence[str], files: Mapping[str, bytes]) -> Prepared:
    """Packs ``program``; the caller closes ``packed``."""
    env = dict(program.command.env)
    if program.python is not None:
        source = program.python.encode("utf-8", "surrogatepass")
        packed = pack_python(source, program.python, "main.py", files, args=args, env=env)
        return Prepared("program", packed, limits)
    command = program.run_command(b"", limits, tuple(args))
    env = {**dict(program.image.env), **command.env}
    packed = pack(list(command.argv), {**command.files, **files}, command.executables, env=env)
    return Prepared("exec", packed, command.limits, command.stack_mb)


def outcome(report: Report, limits: Limits, stdout: tuple[bytes, int], stderr: tuple[bytes, int]) -> Outcome:
    """Reads a report as an ending. A limit that was crossed counts even if the program ended before it was stopped."""
    over = report.over
    if not over and report.cpu > limits.time_s:
        over = "cpu"
    if over == "memory" and (stdout[1] or stderr[1]):
        over = "output"  # output is held in memory, so a fast writer crosses both limits at once
    endings: dict[str, Ending] = {
        "cpu": "time_limit",
        "wall": "time_limit",
        "memory": "memory_limit",
        "output": "output_limit",
    }
    words = {
        "cpu": f"{limits.time_s:g} s of CPU",
        "wall": "wall clock",
        "memory": f"{limits.memory_mb} MiB of memory",
        "output": f"{limits.output_kb} KiB of output",
    }
    exit_code = signal = None
    if report.status is not None:
        if os.WIFEXITED(report.status):
            exit_code = os.WEXITSTATUS(report.status)
        elif os.WIFSIGNALED(report.status):
            signal = os.WTERMSIG(report.status)
    return Outcome(
        ending=endings.get(over, "exited" if signal is None else "signaled"),
        exit_code=exit_code,
        signal=signal,
        cpu_s=round(report.cpu, 6),
        wall_s=round(report.wall, 6),
        memory_mb=round(report.peak / (1 << 20), 3),
        stdout=stdout[0],
        stderr=stderr[0],
        stdout_cut=stdout[1],
        stderr_cut=stderr[1],
        limit=words.get(over, ""),
    )


def run(container: Container, prepared: Prepared, stdin: bytes) -> Outcome:
    """Runs a prepared program to its end."""
    limits = prepared.limits
    with closing([]) as fds:
        fds += [sealed(stdin), empty(), empty()]
        container.start(Job(prepared.guest, [prepared.packed, *fds], limits, stack_mb=prepared.stack_mb))
        report = container.wait()
        cap = limits.output_kb * 1024
        return outcome(report, limits, read(fds[1], cap), read(fds[2], cap))


def run_command(container: Container, image: Image, command: Command) -> Outcome:
    """Runs a command and brings back the files it asks for."""
    env = {**dict(image.env), **command.env}
    limits = command.limits
    with closing([]) as fds:
        packed = pack(list(command.argv), command.files, command.executables, env=env)
        fds += [packed, sealed(command.stdin), empty(), empty()]
        collect = []
        for path in command.collect:
            fds.append(empty())
            collect.append((path, fds[-1]))
        job = Job("exec", fds[:4], limits, (), collect, command.collect_kb, command.stack_mb)
        container.start(job)
        report = container.wait()
        cap = limits.output_kb * 1024
        result = outcome(report, limits, read(fds[2], cap), read(fds[3], cap))
        collected = {path: read(fd, command.collect_kb * 1024 + 1)[0] for path, fd in collect}
        return replace(result, collected={path: data[1:] for path, data in collected.items() if data})
