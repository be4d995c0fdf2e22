"""Runs in the sandbox: LiveCodeBench's own way of running a program that reads standard input, mistakes included.

As lcb_runner/evaluation/testing_util.py of LiveCodeBench ran the published evaluations of 2024: one process for all
tests, the program wrapped into a function, ``sys.stdin`` and ``sys.stdout`` replaced by strings. What a thread prints
after that function has returned is lost, the real standard input is somebody else's and never ends, ``sys.stdin`` has
no ``buffer``, and some functions are taken away.

Standard input: ``{"code", "prelude", "tests": [input, ...], "limit_s"}``. Standard output: a line of JSON for each
test, ``{"text": output}`` or ``{"error": -3 | -4, "message"}``; an error is the last line.
"""

import ast
import builtins
import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from types import ModuleType
from typing import Any
from unittest import mock

_NO_LONGER = ("kill", "system", "putenv", "remove", "rmdir", "fchdir", "setuid", "fork", "forkpty", "rename", "unlink")
_IDLE_S = 0.05


class _TimeUp(Exception):
    """The time limit; an ordinary exception, so that a program's bare ``except`` swallows it, as it does upstream."""


class _Clock:
    """Raises ``_TimeUp`` when a test has used its CPU time, or used none for that long because it only waits."""

    def __init__(self, limit: float) -> None:
        self.limit, self.timer, self.now = limit, signal.setitimer, time.process_time
        self.begun = self.seen = 0.0
        signal.signal(signal.SIGALRM, self._rung)

    def start(self) -> None:
        self.begun = self.seen = self.now()
        self.timer(signal.ITIMER_REAL, self.limit, self.limit)

    def stop(self) -> None:
        self.timer(signal.ITIMER_REAL, 0)

    def _rung(self, number: int, frame: object) -> None:
        used = self.now()
        idle, self.seen = used - self.seen < _IDLE_S, used
        if idle or used - self.begun > self.limit:
            raise _TimeUp("time limit")


def wrapped(code: str, prelude: str) -> str:
    """The program as one function: imports stay outside, a last ``if __name__ == '__main__'`` is opened."""
    try:
        body = ast.parse(code).body
        last = body[-1] if body else None
        if isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'":
            body = body[:-1] + last.body
        imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        rest = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
        shell = ast.parse("def wrapped_function():\n    pass")
        function = shell.body[0]
        if rest and isinstance(function, ast.FunctionDef):
            function.body = rest
        return "\n".join([prelude, *map(ast.unparse, imports), ast.unparse(shell)])
    except (SyntaxError, ValueError, RecursionError):
        return code


def run_test(function: Any, text: str) -> str:
    """Calls the function with ``text`` as its standard input and returns what it had printed when it returned."""
    captured = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch("sys.stdin", io.StringIO(text)))
        stack.enter_context(mock.patch("sys.stdout", captured))
        with suppress(SystemExit):
            function()
        return captured.getvalue()


def take_away(code: str) -> None:
    """What the upstream guard removes; libraries that the program needs and upstream has loaded are loaded before."""
    if re.search(r"\bnumpy\b", code) and importlib.util.find_spec("numpy"):
        importlib.import_module("numpy")
    builtins.__dict__["quit"] = None
    for name in _NO_LONGER:
        setattr(os, name, None)
    subprocess.__dict__["Popen"] = None
    for name in ("resource", "psutil"):
        sys.modules[name] = None  # type: ignore[assignment]  # an import of them fails from here on


def main() -> None:
    """Reads the task, runs the tests, writes a line for each, and ends at the first error."""
    task = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    reading, _ = os.pipe()  # the other end stays open: a read of the real standard input waits for ever
    os.dup2(reading, 0)
    leave = os._exit
    clock = _Clock(task["limit_s"])
    module = ModuleType("tmp_sol", "")
    program = wrapped(task["code"], task["prelude"])
    take_away(task["code"])
    try:
        clock.start()
        exec(program, module.__dict__)  # noqa: S102  # the program under test; this process is the sandbox's
        for text in task["tests"]:
            clock.start()
            printed = run_test(module.__dict__["wrapped_function"], text)
            clock.stop()
            out.write(json.dumps({"text": printed}) + "\n")
    except BaseException as error:  # noqa: BLE001  # whatever the program raises is its result
        clock.stop()
        number = -3 if isinstance(error, _TimeUp) else -4
        out.write(json.dumps({"error": number, "message": f"{type(error).__name__}: {error}"[:300]}) + "\n")
    out.flush()
    leave(0)


if __name__ == "__main__":
    main()
