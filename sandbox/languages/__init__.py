"""What the engine knows of a language. Adding one is one file: subclass ``Language``, name it in ``REGISTRY``.

A language never touches the host: it says which *image* (read-only root) a command needs and hands *commands* to a
``Workshop``, which runs each in a container of that image and returns what happened. Compilers are untrusted too:
they run in the same isolation, under ``Job.compile_limits``, in an image of their own, and what they made comes back
as bytes.

The life of a job::

    program = language.compile(job, workshop)      # CompileFailed -> verdict compile_error, or the verdict it names
    for each case:  workshop.run(program.image, program.command(stdin=..., limits=job.limits))

In the container a command finds its files in ``/box`` (its working directory), may write there and in ``/tmp`` and
``/dev/shm``, together ``limits.file_kb``, and sees nothing else that can be written. All of it is gone after the
command.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from sandbox.errors import InvalidJob
from sandbox.job import Job, Limits, Verdict

REGISTRY: dict[str, tuple[str, str]] = {
    "python": ("sandbox.languages.python", "Python"),
    "cpp": ("sandbox.languages.cpp", "Cpp"),
    "java": ("sandbox.languages.java", "Java"),
}


_SCRATCH_STEP = 4 << 20  # programs of like size share a warm container


@dataclass(frozen=True)
class Image:
    """The read-only root of a container. Commands with equal images share a warm container, one after the other.

    Attributes:
        name: Short, for messages and metrics, e.g. ``"cpp-compile"``.
        binds: Host files and directories that are visible, read-only, under the same path.
        hidden: Paths below ``binds`` that are covered by an empty directory.
        files: Small files made in the root: absolute path -> content (``/etc/passwd`` and ``/etc/group`` exist
        already). links: Symbolic links made in the root: absolute path -> target. env: The whole environment of a
        command (``Command.env`` is laid over it). preload: Python modules that the warm interpreter holds ready; only
        for Python programs.
    """

    name: str
    binds: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    preload: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """One process tree to run in a container.

    Attributes:
        argv: Program and arguments; ``argv[0]`` is an absolute path in the container.
        files: Files written below ``/box`` before the start: relative path -> content.
        executables: Names of ``files`` that get the execute bit.
        stdin: Bytes of standard input (a regular file to the program).
        env: Laid over the environment of the image.
        limits: CPU, wall clock, memory, output, processes and files, as in ``sandbox.job``.
        collect: Paths below ``/box`` to bring back afterwards (regular files only; a missing one is left out).
        collect_kb: KiB brought back at most, each file; a larger one is left out.
        stack_mb: Stack limit in MiB; None: as much as ``limits.memory_mb``.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    executables: tuple[str, ...] = ()
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    collect: tuple[str, ...] = ()
    collect_kb: int = 65536
    stack_mb: int | None = None


Ending = Literal["exited", "signaled", "time_limit", "memory_limit", "output_limit"]


@dataclass(frozen=True)
class Outcome:
    """What happened to a command. ``cpu_s`` and ``memory_mb`` are of the process tree; output is cut at its limit.

    ``stdout_cut`` and ``stderr_cut``: bytes beyond the limit, not returned. ``limit``: which bound ended it, in words.
    """

    ending: Ending
    exit_code: int | None = None
    signal: int | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
    memory_mb: float = 0.0
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_cut: int = 0
    stderr_cut: int = 0
    limit: str = ""
    collected: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.ending == "exited" and self.exit_code == 0


class CompileFailed(Exception):
    """A program cannot be compiled: the verdict (``compile_error`` unless a limit was hit) and what the compiler
    said."""

    def __init__(self, message: str, outcome: Outcome | None = None, verdict: Verdict = "compile_error") -> None:
        super().__init__(message)
        self.outcome = outcome
        self.verdict: Verdict = verdict


class Resident(Protocol):
    """A process that stays in its container from one request to the next, e.g. a warm compiler.

    Its standard input and output are one stream of frames, each a 4-byte big-endian length and that many bytes. It
    must be trusted to keep requests apart (it may run no code of a job), and it has a container of its own.
    """

    def ask(self, request: bytes, limits: Limits) -> bytes:
        """Sends a frame and returns the answer.

        Raises:
            ResidentFailed: It died, broke the framing or went over a limit; the next ``ask`` is answered by a fresh
            one.
        """
        ...

    @property
    def last(self) -> Outcome:
        """CPU and wall time and peak memory of the last ``ask``."""
        ...


class ResidentFailed(Exception):
    """A resident did not answer; ``ending`` says whether a limit ended it. The next one is fresh."""

    def __init__(self, message: str, ending: Ending) -> None:
        super().__init__(message)
        self.ending: Ending = ending


class Workshop(Protocol):
    """What a language may ask of the engine. Thread-safe; infrastructure faults are retried inside."""

    def run(self, image: Image, command: Command) -> Outcome:
        """Runs a command in a container of ``image`` that holds nothing of any other job."""
        ...

    def resident(self, image: Image, command: Command) -> AbstractContextManager[Resident]:
        """Lends the warm process ``command`` of ``image``, started if there is none; nobody else has it meanwhile.

        ``command.limits.memory_mb`` and ``.processes`` bound it as long as it lives; its CPU and wall limits are
        those of each ``ask``.
        """
        ...


@dataclass(frozen=True)
class Program:
    """A compiled job, ready to be run any number of times.

    ``command`` is the template of each run: its ``stdin`` and ``limits`` are set case by case, the job's files and
    arguments are added by the engine. ``warnings``: what the compiler said without failing.
    ``python``: source text that the warm interpreter of the container runs itself, instead of ``command.argv``.
    ``own_processes``: threads and processes of the language's runtime, beyond ``limits.processes`` of the job.
    """

    image: Image
    command: Command
    python: str | None = None
    warnings: str = ""
    compile: Outcome | None = None
    own_processes: int = 0

    def run_command(self, stdin: bytes, limits: Limits, args: tuple[str, ...] = ()) -> Command:
        """The command of one run. What the runtime itself needs does not count against the job's processes."""
        own = limits.model_copy(update={"processes": limits.processes + self.own_processes})
        return replace(self.command, argv=self.command.argv + args, stdin=stdin, limits=own)

    def scratch_kb(self, limits: Limits) -> int:
        """Size of the scratch space: what the job may write, and room for the program's own files."""
        size = sum(len(content) for content in self.command.files.values())
        return limits.file_kb + (-(-size // _SCRATCH_STEP) * _SCRATCH_STEP >> 10)

    def explain(self, outcome: Outcome) -> Outcome:
        """The outcome as the language means it, e.g. a runtime's own out-of-memory error as ``memory_limit``."""
        return outcome


class Language(ABC):
    """One language. Instances hold what was found on this host and are shared by threads."""

    name: str
    default_compile_limits: Limits = Limits(time_s=30.0, memory_mb=1024, processes=64)

    @abstractmethod
    def available(self) -> str | None:
        """None, or one sentence saying what is missing on this host and how to get it (jobs are then ``refused``)."""

    @abstractmethod
    def compile(self, job: Job, workshop: Workshop) -> Program:
        """Makes a program of ``job.code``.

        Raises:
            CompileFailed: The compiler refused it or hit a limit.
            InvalidJob: The mode or an option does not exist in this language.
        """


def load(name: str) -> Language:
    """The language called ``name``.

    Raises:
        InvalidJob: There is no such language.
    """
    if name not in REGISTRY:
        raise InvalidJob(f"language: {name!r} is unknown; known are {', '.join(REGISTRY)}")
    module, attribute = REGISTRY[name]
    language: Language = getattr(importlib.import_module(module), attribute)()
    return language


def shared_libraries() -> tuple[str, ...]:
    """Host directories that dynamically linked programs need: the loader and the system's libraries, nothing else."""
    multiarch = [str(p) for p in Path("/usr/lib").glob("*-linux-gnu") if p.is_dir()]
    if not multiarch:
        multiarch = [p for p in ("/usr/lib64", "/usr/lib") if Path(p).is_dir()]
    return (*multiarch, *(p for p in ("/usr/lib64", "/etc/ld.so.cache") if p not in multiarch and Path(p).exists()))
