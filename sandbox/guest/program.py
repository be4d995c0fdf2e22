"""Runs a Python program in the warm interpreter as a fresh ``python main.py`` would."""

import atexit
import builtins
import contextlib
import io
import os
import sys
import types
from typing import Any

SOURCE = "/box/main.py"
_ESCAPED = "backslashreplace"
SYNTAX_EXIT = 71  # the source does not compile; only the engine's wording depends on it


_own: tuple[str, bytes] | None = None
_blank: dict[str, types.ModuleType] = {}  # made before a job's fork, each taken once


def main(source: bytes, channel: int) -> int:
    """Runs ``/box/main.py`` as ``__main__`` and returns its exit code."""
    module = fresh_module("__main__", SOURCE)
    code = compile_source(source, SOURCE)
    if code is None:
        return SYNTAX_EXIT
    return finish(run_code(code, module) or 0, module)


def settle(env: dict[str, str]) -> None:
    """Makes the zygote look like a new interpreter, once: what a job finds and need not build itself."""
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = [SOURCE]
    sys.path.insert(0, "/box")
    _blank.update((name, _new_module(name)) for name in ("__main__", "solution"))
    for name in ("exit", "quit"):  # site, which defines them, was left out
        setattr(builtins, name, _exit)
    for fd, name, mode, errors in (
        (0, "stdin", "r", "strict"),
        (1, "stdout", "w", "strict"),
        (2, "stderr", "w", _ESCAPED),
    ):
        stream = _stream(fd, mode, errors, f"<{name}>")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def prepare(args: list[str], env: dict[str, str]) -> None:
    """Arguments and environment of this job."""
    sys.argv[1:] = args
    os.environ.update(env)


def _exit(code: Any = None) -> None:
    raise SystemExit(code)


def _stream(fd: int, mode: str, errors: str, name: str) -> Any:
    raw = io.FileIO(fd, mode, closefd=False)
    raw.name = name
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    stream: Any = io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=fd == 2)
    stream.mode = mode
    return stream


def fresh_module(name: str, path: str) -> types.ModuleType:
    """A module that can be found under its name, so that pickle, dataclasses and typing work."""
    module = _blank.pop(name, None) or _new_module(name)
    module.__dict__["__file__"] = path
    sys.modules[name] = module
    return module


def _new_module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(__file__="", __builtins__=builtins, __cached__=None)
    return module


def compile_source(source: bytes, path: str) -> types.CodeType | None:
    """Compiles, or prints the error as the interpreter would and returns None."""
    global _own
    _own = path, source
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        _print_exception(drop=1)
        return None


def run_code(code: types.CodeType, module: types.ModuleType) -> int | None:
    """Executes module code. None: it came to its end; else the exit code of the exit or exception that cut it short."""
    try:
        exec(code, module.__dict__)  # noqa: S102 - this is what the process is for
    except SystemExit as error:
        return exit_code(error.code)
    except BaseException:
        _print_exception(drop=1)
        return 1
    return None


def exit_code(code: Any) -> int:
    """The process exit code of ``sys.exit(code)``."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _write_own() -> None:
    """Writes the program's source, if it is not there: a traceback shows lines of it."""
    if _own is not None:
        with contextlib.suppress(OSError, MemoryError):
            fd = os.open(_own[0], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            os.write(fd, _own[1])
            os.close(fd)


def _print_exception(drop: int) -> None:
    """Prints the current exception without the first ``drop`` frames, which are ours."""
    _write_own()
    kind, value, trace = sys.exc_info()
    for _ in range(drop):
        trace = trace.tb_next if trace else None
    if value is not None:
        value.__traceback__ = trace
    if kind is None or value is None:
        return
    try:
        sys.excepthook(kind, value, trace)
    except BaseException:
        sys.__excepthook__(kind, value, trace)


def finish(code: int, module: types.ModuleType | None = None) -> int:
    """What an interpreter does at its end: joins threads, runs exit handlers, drops globals, flushes."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        _print_exception(1)
    if module is not None and any("__del__" in v.__dict__ for v in module.__dict__.values() if isinstance(v, type)):
        for name in [n for n in module.__dict__ if not n.startswith("__")]:
            module.__dict__[name] = None
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except ValueError:  # closed by the program
            continue
        except OSError:
            code = code or 120
    return code
