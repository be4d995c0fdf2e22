"""Java with the host's JDK. A warm compiler that lives in the sandbox compiles the sources and loads none of them."""

import os
import shutil
import subprocess
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock

from sandbox.errors import InvalidJob, SandboxError
from sandbox.job import Job, Limits
from sandbox.languages import (
    Command,
    CompileFailed,
    Image,
    Language,
    Outcome,
    Program,
    ResidentFailed,
    Workshop,
    shared_libraries,
)
from sandbox.languages.compile_cache import CompileCache, cache_key
from sandbox.languages.host import encode_text, loader_binds

_COMPILER = Path(__file__).with_name("JavaCompiler.java")
_COMPILER_CLASSES = tuple(f"JavaCompiler{part}.class" for part in ("", "$Source", "$ClassFile", "$Output"))
# One collector and a fixed number of processors: the threads and the memory of the JVM do not depend on the host.
_JVM = (
    "-XX:+UseSerialGC",
    "-XX:ActiveProcessorCount=2",
    "-XX:-UsePerfData",
    "-XX:-UseContainerSupport",
    "-XX:-CreateCoredumpOnCrash",
    "-XX:ErrorFile=/dev/null",
    "-Dfile.encoding=UTF-8",
    "-Dsun.stdout.encoding=UTF-8",
    "-Dsun.stderr.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Dstderr.encoding=UTF-8",
)
# Without the optimising compiler javac warms up at once and costs half.
_COMPILER_FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
_LOCALES = ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8")  # without one, arguments are ASCII to the JVM
_JVM_THREADS = 32
_JVM_MB = 64
_COMPILER_MB = 300
_MESSAGE_CHARS = 8000


class JavaProgram(Program):
    """A compiled job."""

    def explain(self, outcome: Outcome) -> Outcome:
        """An uncaught ``OutOfMemoryError`` is the memory limit, which the heap was cut from."""
        if outcome.ending == "exited" and outcome.exit_code == 1 and b"java.lang.OutOfMemoryError" in outcome.stderr:
            return replace(outcome, ending="memory_limit", limit="memory (java.lang.OutOfMemoryError)")
        return outcome


class Java(Language):
    """Any number of classes in one source, public ones of any name.

    The class that is started is the first public one with a ``main`` method, else the first one that has it.
    Annotation processors are off. An uncaught ``OutOfMemoryError`` means that the heap, and so the memory limit, is
    used up.
    """

    name = "java"
    default_compile_limits = Limits(time_s=30.0, memory_mb=1024, processes=64, output_kb=64)

    def __init__(self) -> None:
        self._cache = CompileCache("java")
        self._lock = Lock()

    def available(self) -> str | None:
        """None, or what is missing."""
        if self._home is None:
            return (
                "Java needs a JDK (17 or newer) on the PATH or in JAVA_HOME (Debian: apt install default-jdk-headless)"
            )
        return None

    def compile(self, job: Job, workshop: Workshop) -> Program:
        """Compiles ``job.code``, or finds it in the cache."""
        if job.mode not in ("run", "judge"):
            raise InvalidJob(f"mode: {job.mode} is not available in java; use run or judge")
        if self._home is None:
            raise InvalidJob(f"language: {self.available()}")
        limits = job.compile_limits or self.default_compile_limits
        source = encode_text(job.code)
        key = cache_key("java", self._version, self._compiler_source, limits.model_dump(), source)
        files = self._cache.get(key)
        outcome = None
        if files is None:
            files, outcome = self._ask_compiler(source, limits, workshop)
            self._cache.put(key, files)
        stack = min(256, max(8, job.limits.memory_mb // 8))
        heap = max(16, job.limits.memory_mb - stack - _JVM_MB)
        argv = (self._java, *_JVM, f"-Xmx{heap}m", f"-Xss{stack}m", "-cp", "/box/program.jar", files["main"].decode())
        command = Command(argv=argv, files={"program.jar": files["jar"]})
        return JavaProgram(self._image("java-run"), command, compile=outcome, own_processes=_JVM_THREADS)

    def _ask_compiler(self, source: bytes, limits: Limits, workshop: Workshop) -> tuple[dict[str, bytes], Outcome]:
        heap = max(64, limits.memory_mb - _COMPILER_MB)
        command = Command(
            argv=(self._java, *_JVM, *_COMPILER_FLAGS, f"-Xmx{heap}m", "-cp", "/box", "JavaCompiler"),
            files=self._compiler_classes(workshop),
            limits=limits.model_copy(update={"processes": limits.processes + _JVM_THREADS}),
            stack_mb=8,
        )
        with workshop.resident(self._image("java-compile"), command) as compiler:
            try:
                answer = compiler.ask(source, limits)
            except ResidentFailed as failure:
                raise CompileFailed(f"the compiler was stopped: {failure}", compiler.last) from None
            outcome = compiler.last
        length = int.from_bytes(answer[1:5], "big")
        text = answer[5 : 5 + length]
        if answer[:1] != b"\x01":
            raise CompileFailed(text.decode("utf-8", "replace")[:_MESSAGE_CHARS], outcome)
        return {"main": text, "jar": answer[5 + length :]}, outcome

    def _compiler_classes(self, workshop: Workshop) -> dict[str, bytes]:
        """The classes of the warm compiler, made by the plain one at the first use."""
        key = cache_key("java-compiler", self._version, self._compiler_source)
        with self._lock:
            files = self._cache.get(key)
            if files is None:
                javac = str(Path(self._java).with_name("javac"))
                command = Command(
                    argv=(javac, "-J-XX:+UseSerialGC", "-proc:none", "-d", ".", "JavaCompiler.java"),
                    files={"JavaCompiler.java": self._compiler_source},
                    limits=Limits(time_s=60.0, memory_mb=1024, processes=128),
                    collect=_COMPILER_CLASSES,
                    stack_mb=8,
                )
                outcome = workshop.run(self._image("java-compile"), command)
                files = outcome.collected
                if not outcome.ok or set(files) != set(_COMPILER_CLASSES):
                    said = (outcome.stderr or outcome.stdout).decode("utf-8", "replace")[:_MESSAGE_CHARS]
                    raise SandboxError(f"the JDK in {self._home} cannot compile the sandbox's compiler: {said}")
                self._cache.put(key, files)
            return dict(files)

    @cached_property
    def _compiler_source(self) -> bytes:
        return _COMPILER.read_bytes()

    @cached_property
    def _home(self) -> Path | None:
        """The folder of the JDK: ``JAVA_HOME``, else that of the ``javac`` on the PATH."""
        given = os.environ.get("JAVA_HOME")
        javac = str(Path(given, "bin", "javac")) if given else shutil.which("javac")
        if javac is None or not Path(javac).is_file():
            return None
        return Path(javac).resolve().parent.parent

    @property
    def _java(self) -> str:
        return str(Path(self._home or "/", "bin", "java"))

    @cached_property
    def _version(self) -> str:
        report = subprocess.run([self._java, "-version"], capture_output=True, text=True, check=True, timeout=60)
        return report.stderr

    def _image(self, name: str) -> Image:
        return Image(name, binds=self._binds, links=loader_binds()[1], env=(("LC_ALL", "C.UTF-8"),))

    @cached_property
    def _binds(self) -> tuple[str, ...]:
        """The JDK without its sources and manuals, and the configuration that distributions keep under /etc."""
        home = self._home
        if home is None:
            return ()
        parts = [str(path) for name in ("bin", "lib", "conf", "release") if (path := home / name).exists()]
        outside = {path.resolve() for path in (*home.glob("lib/*.cfg"), *home.glob("conf/**/*")) if path.is_symlink()}
        parts += sorted({f"/etc/{path.parts[2]}" for path in outside if path.parts[:2] == ("/", "etc")} - {"/etc/ssl"})
        parts += [path for path in _LOCALES if Path(path).is_dir()]
        return (*parts, *shared_libraries(), *loader_binds()[0])
