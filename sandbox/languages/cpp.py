"""C++ 17 and 20 with the host's g++, which runs in the sandbox like the programs that it makes."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from sandbox.errors import InvalidJob
from sandbox.job import Job, Limits
from sandbox.languages import Command, CompileFailed, Image, Language, Outcome, Program, Workshop, shared_libraries
from sandbox.languages.compile_cache import CompileCache, cache_key
from sandbox.languages.host import cache_folder, encode_text, find_tool, loader_binds

_FLAGS = ("-O2", "-DONLINE_JUDGE", "-pipe", "-fdiagnostics-color=never", "-fmax-errors=20")
_HEADER = "bits/stdc++.h"
_LINK = ("-s",)
_LIBRARIES = ("libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "libpthread.so.0", "libatomic.so.1")
_HEADER_LIMITS = Limits(time_s=60.0, memory_mb=2048, processes=64, output_kb=64, file_kb=512 << 10)
_MESSAGE_CHARS = 8000


class Cpp(Language):
    """``std``: GNU dialect of the standard named in the job, as the programming contests use it.

    Programs that begin with ``#include <bits/stdc++.h>`` use a header that is compiled once per standard.
    """

    name = "cpp"
    default_compile_limits = Limits(time_s=30.0, memory_mb=1024, processes=64, output_kb=64)

    def __init__(self, precompile: bool = True) -> None:
        self._precompile = precompile
        self._compiler = find_tool("RINGLITE_CXX", "g++", "c++")
        self._cache = CompileCache("cpp")
        self._header_lock = threading.Lock()
        self._headers: dict[tuple[str, ...], Path | None] = {}

    def available(self) -> str | None:
        """None, or what is missing."""
        if self._compiler is None:
            return "C++ needs g++ (Debian: apt install g++), on the PATH or named in RINGLITE_CXX"
        return None

    def compile(self, job: Job, workshop: Workshop) -> Program:
        """Compiles ``job.code`` as one translation unit, or finds it in the cache."""
        if job.mode not in ("run", "judge"):
            raise InvalidJob(f"mode: {job.mode} is not available in cpp; use run or judge")
        limits = job.compile_limits or self.default_compile_limits
        source = encode_text(job.code)
        flags = self.flags(job.options.std)
        key = cache_key("cpp", self._version, (*flags, *_LINK), limits.model_dump(), source)
        files = self._cache.get(key)
        outcome = None
        if files is None:
            files, outcome = self._run_compiler(source, flags, limits, workshop)
            self._cache.put(key, files)
        command = Command(argv=("/box/program",), files={"program": files["program"]}, executables=("program",))
        return Program(self._run_image, command, warnings=files["warnings"].decode(), compile=outcome)

    @staticmethod
    def flags(std: str) -> tuple[str, ...]:
        """What the compiler is told for ``std`` (``c++17`` or ``c++20``)."""
        return (f"-std={std.replace('c++', 'gnu++')}", *_FLAGS)

    def _run_compiler(
        self, source: bytes, flags: tuple[str, ...], limits: Limits, workshop: Workshop
    ) -> tuple[dict[str, bytes], Outcome]:
        header = self._header(flags, workshop) if self._precompile else None
        search = () if header is None else ("-I", str(header))
        command = Command(
            argv=(self.compiler, *flags, *search, "main.cpp", "-o", "program", *_LINK),
            files={"main.cpp": source},
            limits=limits,
            collect=("program",),
            collect_kb=limits.file_kb,
        )
        outcome = workshop.run(self._compile_image(header), command)
        said = outcome.stderr.decode("utf-8", "replace")[:_MESSAGE_CHARS]
        if outcome.ending != "exited":
            raise CompileFailed(f"the compiler was stopped: {outcome.limit or outcome.ending}\n{said}".strip(), outcome)
        if not outcome.ok or "program" not in outcome.collected:
            raise CompileFailed(said or f"the compiler failed with exit code {outcome.exit_code}", outcome)
        return {"program": outcome.collected["program"], "warnings": said.encode()}, outcome

    @property
    def compiler(self) -> str:
        """Path of the compiler."""
        if self._compiler is None:
            raise InvalidJob(f"language: {self.available()}")
        return self._compiler

    def _ask(self, *question: str) -> str:
        answer = subprocess.run([self.compiler, *question], capture_output=True, text=True, check=True, timeout=60)
        return answer.stdout.strip()

    @cached_property
    def _version(self) -> str:
        """Tells apart any two compilers that may make different programs."""
        backend = Path(self._ask("-print-prog-name=cc1plus")).stat()
        return f"{self._ask('--version')} {backend.st_size} {backend.st_mtime_ns}"

    @cached_property
    def _run_image(self) -> Image:
        """The loader and the libraries that g++ links by itself; nothing else of the host.

        Linked statically a program starts 0.6 ms sooner, but its 1.7 MB are copied for each run, which costs 3 ms.
        """
        libraries = [self._ask(f"-print-file-name={name}") for name in _LIBRARIES]
        folders = [Path(path) for path in ("/lib", "/lib64") if Path(path).is_dir()]
        paths = [Path(path) for path in libraries if Path(path).is_absolute()]
        paths += [path for folder in folders for path in folder.glob("ld-linux*.so.*")]
        binds = dict.fromkeys(str(path.parent.resolve() / path.name) for path in paths)
        return Image("cpp-run", binds=(*binds, "/etc/ld.so.cache"), links=loader_binds()[1])

    def _compile_image(self, header: Path | None) -> Image:
        binds, links = self._toolchain
        extra = () if header is None else (str(header),)
        env = (("PATH", "/usr/bin"), ("LC_ALL", "C.UTF-8"), ("TMPDIR", "/tmp"))
        return Image("cpp-compile", binds=(*binds, *extra), links=links, env=env)

    @cached_property
    def _toolchain(self) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """The compiler's own files, its headers and the binutils; nothing else of the host."""
        tools = {name: shutil.which(self._ask(f"-print-prog-name={name}")) for name in ("as", "ld")}
        folders = {str(Path(self._ask(f"-print-prog-name={name}")).parent) for name in ("cc1plus", "collect2")}
        folders |= {str(Path(self._ask(f"-print-file-name={name}")).parent) for name in ("crtbegin.o", "libgcc.a")}
        binds, links = loader_binds()
        paths = [self.compiler, *(path for path in tools.values() if path), *folders, "/usr/include"]
        paths += [path for path in self._include_folders if not path.startswith("/usr/include")]
        paths += [*shared_libraries(), *binds]
        known = {f"/usr/bin/{name}": path for name, path in tools.items() if path}
        links += tuple((name, path) for name, path in known.items() if name != path)
        return tuple(dict.fromkeys(os.path.normpath(path) for path in paths)), links

    @cached_property
    def _include_folders(self) -> list[str]:
        report = subprocess.run(
            [self.compiler, "-xc++", "-E", "-v", os.devnull], capture_output=True, text=True, check=True, timeout=60
        ).stderr
        lines = report.partition("> search starts here:")[2].partition("End of search list.")[0].splitlines()
        return [os.path.normpath(line.strip()) for line in lines if line.startswith(" ")]

    def _header(self, flags: tuple[str, ...], workshop: Workshop) -> Path | None:
        """Folder with the precompiled header for ``flags``; made at the first use; None where that is not possible."""
        with self._header_lock:
            if flags not in self._headers:
                self._headers[flags] = self._make_header(flags, workshop)
            return self._headers[flags]

    def header_folder(self, flags: tuple[str, ...]) -> Path | None:
        """Where the precompiled header for ``flags`` is kept once it is made; None without a folder to keep it in."""
        base = cache_folder()
        name = hashlib.sha256(f"{self._version} {flags}".encode()).hexdigest()[:24]
        return base / "cpp-headers" / name if base else None

    def _make_header(self, flags: tuple[str, ...], workshop: Workshop) -> Path | None:
        folder = self.header_folder(flags)
        source = next((p for d in self._include_folders if (p := Path(d, _HEADER)).is_file()), None)
        if folder is None or source is None:
            return None
        made = folder / f"{_HEADER}.gch"
        with contextlib.suppress(OSError), _locked(folder.parent.with_suffix(".lock")):
            if made.exists():
                return folder
            command = Command(
                argv=(self.compiler, *flags, "-x", "c++-header", "stdc++.h", "-o", "stdc++.h.gch"),
                files={"stdc++.h": source.read_bytes()},
                limits=_HEADER_LIMITS,
                collect=("stdc++.h.gch",),
                collect_kb=_HEADER_LIMITS.file_kb,
            )
            outcome = workshop.run(self._compile_image(None), command)
            if outcome.ok and "stdc++.h.gch" in outcome.collected:
                made.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                (made.parent / "stdc++.h").write_bytes(source.read_bytes())
                fresh = made.with_suffix(f".{os.getpid()}")
                fresh.write_bytes(outcome.collected["stdc++.h.gch"])
                fresh.chmod(0o644)
                fresh.replace(made)
                return folder
        return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
