"""Python: the warm interpreter of the container runs the source itself, under the version that runs the engine."""

import importlib.metadata
import importlib.util
import os
import re
import sys
from functools import cache, lru_cache
from pathlib import Path

from sandbox.jail.root import visible
from sandbox.job import Job
from sandbox.languages import Command, Image, Language, Program, Workshop, shared_libraries

# Importable by programs if the engine's environment has them. Data sets ride in some packages, so it is a list of
# names.
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "sortedcontainers", "networkx", "pandas")
TEST_PACKAGES = ("pytest",)
# What most programs import and a fork hardly notices. Left out: threading, random, dataclasses and the like, whose
# hooks and pages would cost each job more than the programs that want them save.
PRELOAD = [
    "bisect",
    "collections",
    "collections.abc",
    "copy",
    "enum",
    "functools",
    "heapq",
    "io",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "string",
    "types",
    "typing",
]
# Imported ahead in containers of their own: 0.1 s for each program otherwise.
_HEAVY = ("numpy",)
_IMPORTS_HEAVY = {name: re.compile(rf"^\s*(?:import|from)\s+{name}\b", re.M) for name in _HEAVY}

ENV = {
    "HOME": "/box",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "TMPDIR": "/tmp",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


_INWARD_MODULES = {
    "abc", "array", "bisect", "cmath", "collections", "collections.abc", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "numbers",
    "operator", "random", "re", "statistics", "string", "sys", "time", "types", "typing",
}  # fmt: skip
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w., \t]+)$)", re.M)
_OUTWARD = re.compile(
    r"\b(?:open|exec|eval|compile|globals|vars|breakpoint|help|modules|import_module|_getframe|current_frames|argv|"
    r"__(?:file|loader|spec|import|builtins|cached|globals|subclasses|self|dict)__)\b"
)


@lru_cache(maxsize=512)
def is_inward(code: str) -> bool:
    """Whether a Python program cannot come to look for its own source, /proc or signals, by the words in it.

    Such a program is spared what it would not see. It is about cost only: one that finds a way past these words does
    not find its source, and nothing else.
    """
    if _OUTWARD.search(code):
        return False
    found = _IMPORT.findall(code)
    if len(found) != len(re.findall(r"\bimport\b", code)):
        return False
    names = (name.partition(" as ")[0].strip() for one, many in found for name in (one or many).split(","))
    return all(name in _INWARD_MODULES for name in names)


def interpreter() -> str:
    """The real executable behind the running one, outside any virtual environment."""
    return str(Path(getattr(sys, "_base_executable", None) or sys.executable).resolve())


@cache
def _standard_library() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Binds and hidden directories of the interpreter: no site-packages."""
    stdlib = Path(os.__file__).resolve().parent
    binds = [interpreter(), str(stdlib)]
    if sys.base_prefix != "/usr":
        binds += [str(p) for p in Path(sys.base_prefix, "lib").glob("lib*.so*")]
    hidden = [str(stdlib / name) for name in ("site-packages", "dist-packages", "test", "ensurepip", "idlelib")]
    return tuple(dict.fromkeys(binds)), tuple(hidden)


@cache
def package_paths(names: tuple[str, ...]) -> tuple[str, ...]:
    """Files and directories of the installed packages among ``names`` and of what they require."""
    wanted, paths = list(names), []
    seen: set[str] = set()
    while wanted:
        name = re.split(r"[^A-Za-z0-9._-]", wanted.pop())[0].lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        wanted += [r for r in distribution.requires or [] if "extra ==" not in r]
        tops = {f.parts[0] for f in distribution.files or [] if f.parts[0] not in ("..", "__pycache__") and f.parts}
        paths += [str(distribution.locate_file(top)) for top in sorted(tops)]
    return tuple(dict.fromkeys(p for p in paths if Path(p).exists()))


@cache
def image(name: str, packages: tuple[str, ...], preload: tuple[str, ...]) -> Image:
    """The root of a Python container with these packages and what they require."""
    standard, hidden = _standard_library()
    extra = package_paths(packages)
    site = sorted({visible(str(Path(p).parent)) for p in extra})
    return Image(
        name=name,
        binds=(*shared_libraries(), *standard, *extra),
        hidden=hidden,
        links=(("/usr/bin/python3", interpreter()),),
        env=tuple({**ENV, **({"PYTHONPATH": ":".join(site)} if site else {})}.items()),
        preload=preload,
    )


class Python(Language):
    """CPython of the engine; ``packages``: what programs may import beside the standard library."""

    name = "python"

    def __init__(self, packages: tuple[str, ...] = PACKAGES) -> None:
        self._packages = packages

    def available(self) -> str | None:
        """Always: the engine itself runs in it."""
        return None

    def compile(self, job: Job, workshop: Workshop) -> Program:
        """Nothing to do ahead: a source that does not compile says so when it is run."""
        return Program(self.image_for(job.code), Command(argv=()), python=job.code)

    def image_for(self, code: str) -> Image:
        """The plain image, or the one that holds a heavy package ready if ``code`` imports it."""
        for name, pattern in _IMPORTS_HEAVY.items():
            if name in code and name in self._packages and pattern.search(code) and importlib.util.find_spec(name):
                return image(f"python-{name}", self._packages, (*PRELOAD, name))
        return image("python", self._packages, tuple(PRELOAD))

    def tests_image(self, framework: str, test_code: str) -> Image:
        """The image that tests run in: with the framework ready, and NumPy if the tests import it."""
        heavy = tuple(
            n for n, pattern in _IMPORTS_HEAVY.items() if pattern.search(test_code) and importlib.util.find_spec(n)
        )
        if framework == "pytest":
            return image("python-pytest", (*self._packages, *TEST_PACKAGES), (*PRELOAD, "pytest", "unittest", *heavy))
        if framework == "unittest":
            return image("python-unittest", self._packages, (*PRELOAD, "unittest", "unittest.mock", *heavy))
        return image("python-" + "-".join(heavy), self._packages, (*PRELOAD, *heavy)) if heavy else self.image_for("")
