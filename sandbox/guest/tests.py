"""Mode ``unit`` on the tests' side: runs them, the candidate being a voice on a socket, and notes each outcome."""

import builtins
import contextlib
import json
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from sandbox.guest import ahead, program, rpc, standins

_TEST_MODULE = "test_candidate"
_MESSAGE = 2000
_GUARD = "__unforeseen__"
_Places = tuple[tuple[int, int], ...]


def main(header: dict[str, Any], channel: int) -> int:
    """Runs the tests; writes ``{"tests": [[name, outcome, message], ...]}`` to the descriptor after the channel."""
    report = examine(header, channel)
    os.pwrite(channel + 1, json.dumps(report).encode(), 0)
    return 0


def examine(header: dict[str, Any], channel: int, answers: int = -1) -> dict[str, Any]:
    """Runs tests against the candidate at the other end of ``channel`` and returns the report."""
    tests: list[list[str]] = []
    report: dict[str, Any] = {"tests": tests}
    try:
        link = standins.Link(_TEST_MODULE)
        link.peer = rpc.Peer(channel, link.serve, link)
        candidate = _Module(header["module"], link)
        header["candidate"] = entry = standins.Standin(link, 1, "function", header["entry_point"] or "")
        if header["ahead"] is not None:
            link.ahead = ahead.Answers(link.peer, answers, header["ahead"], entry)
        _RUNNERS[header["framework"]](header, header["source"], candidate, tests)
    except _InvalidTests as error:
        report["invalid"] = str(error)
    except ahead.Unforeseen:
        report["unforeseen"] = True
    except rpc.Gone as error:
        report["gone"] = str(error)
    except BaseException as error:
        report["broken"] = _explain(error)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return report


class _InvalidTests(Exception):
    """The tests' own code does not compile."""


class _Module(types.ModuleType):
    """The candidate's module as the tests import it."""

    def __init__(self, name: str, link: standins.Link) -> None:
        super().__init__(name)
        put = super().__setattr__
        put("_link", link)
        put("_whole", standins.Standin(link, 0, "module", name))
        parts = name.split(".")
        for depth in range(1, len(parts)):
            sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(".".join(parts[:depth])))
        sys.modules[name] = self

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":  # what patching tools consult before they change a name
            return _Names(self)
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [n for n in self._link.peer.request("names") if not n.startswith("_")]
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._whole, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._whole, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._whole, name)


class _Names(Mapping[str, Any]):
    """The candidate's globals, asked for one by one."""

    def __init__(self, module: _Module) -> None:
        self._module = module

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self._module._whole, name)
        except AttributeError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._module._link.peer.request("names"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _explain(error: BaseException) -> str:
    place = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith("/box/"):
            place = f"line {trace.tb_lineno}: "
        trace = trace.tb_next
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be shown)"
    return (place + type(error).__name__ + (f": {text}" if text else ""))[:_MESSAGE]


def _missing_names(unbound: frozenset[str], candidate: _Module) -> dict[str, Any]:
    """What the tests use without defining it, taken from the candidate: upstream runs both in one namespace.

    Built-ins stay those of the tests.
    """
    known = candidate._link.ahead
    if known is not None:
        return {name: _own_copy(name, value) for name, value in known.names().items()}
    found = {}
    for name in unbound:
        if not hasattr(builtins, name):
            with contextlib.suppress(AttributeError):
                found[name] = _resolve(candidate, name)
    return found


@lru_cache(maxsize=256)
def _compiled(source: bytes, path: str, guarded: _Places = ()) -> tuple[types.CodeType, frozenset[str]]:
    """The code of tests, and the names that it reads and binds nowhere; kept, for the next sample of the problem."""
    import ast  # here, since the candidate's side of this zygote has no use for its many types

    try:
        tree = ast.parse(source, path)
        for node in ast.walk(tree) if guarded else ():
            if isinstance(node, ast.Assert) and (node.lineno, node.col_offset) in guarded:
                node.msg = ast.copy_location(ast.parse(f"{_GUARD}()", mode="eval").body, node)
                ast.fix_missing_locations(node)
        code = compile(tree, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise _InvalidTests(f"line {getattr(error, 'lineno', 0)}: {error}") from error
    read: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return code, frozenset(read - bound)


def _unforeseen() -> None:
    raise ahead.Unforeseen


def _resolve(candidate: _Module, name: str) -> Any:
    return _own_copy(name, getattr(candidate, name))


def _own_copy(name: str, value: Any) -> Any:
    if isinstance(value, standins.Standin) and type(value) is standins.Standin:
        # a module that the candidate imported is the tests' own copy of it: it must not be the candidate's to replace
        origin = value._standin[3]
        if origin == name and name in sys.stdlib_module_names:
            return __import__(name)
    return value


def _load(source: bytes, candidate: _Module, guarded: _Places = ()) -> types.ModuleType:
    path = f"/box/{_TEST_MODULE}.py"
    code, unbound = _compiled(source, path, guarded)
    module = program.fresh_module(_TEST_MODULE, path)
    if guarded:
        module.__dict__[_GUARD] = _unforeseen
    module.__dict__.update(_missing_names(unbound, candidate))
    exec(code, module.__dict__)  # noqa: S102 - tests are what this process runs
    return module


def _one(name: str, action: Callable[[], object], tests: list[list[str]]) -> None:
    """Notes the outcome of one test; anything but coming back is a failure."""
    try:
        action()
    except (_InvalidTests, ahead.Unforeseen):
        raise
    except rpc.Gone:
        tests.append([name, "gone", ""])
        raise
    except AssertionError as error:
        tests.append([name, "failed", _explain(error)])
    except BaseException as error:
        tests.append([name, "error", _explain(error)])
    else:
        tests.append([name, "passed", ""])


def _run_check(header: dict[str, Any], source: bytes, candidate: _Module, tests: list[list[str]]) -> None:
    def check() -> None:
        module = _load(source, candidate, _guarded(header))
        module.__dict__["check"](header["candidate"])

    _one("check", check, tests)


def _run_asserts(header: dict[str, Any], source: bytes, candidate: _Module, tests: list[list[str]]) -> None:
    _one("asserts", lambda: _load(source, candidate, _guarded(header)), tests)


def _guarded(header: dict[str, Any]) -> _Places:
    """Where an assertion's message would ask the candidate for more than it was foreseen to be asked."""
    return header["ahead"]["guarded"] if header["ahead"] is not None else ()


def _run_unittest(header: dict[str, Any], source: bytes, candidate: _Module, tests: list[list[str]]) -> None:
    import unittest

    unittest.main = lambda *args, **kwargs: None  # type: ignore[assignment]  # tests may end with a call of it
    module = _load(source, candidate)

    class Notes(unittest.TestResult):
        def startTest(self, test: unittest.TestCase) -> None:
            super().startTest(test)
            tests.append([test.id().removeprefix(f"{_TEST_MODULE}."), "passed", ""])

        def _note(self, test: Any, outcome: str, message: str) -> None:
            if not tests or not isinstance(test, unittest.TestCase):
                tests.append([str(test), outcome, message])
            elif tests[-1][1] == "passed":
                tests[-1][1:] = [outcome, message]

        def addFailure(self, test: unittest.TestCase, err: Any) -> None:
            self._note(test, "failed", _explain(err[1]))

        def addError(self, test: unittest.TestCase, err: Any) -> None:
            self._note(test, "error", _explain(err[1]))

        def addSkip(self, test: unittest.TestCase, reason: str) -> None:
            self._note(test, "skipped", reason)

        def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
            if err is not None:
                outcome = "failed" if isinstance(err[1], AssertionError) else "error"
                self._note(test, outcome, f"{subtest}: {_explain(err[1])}")

        def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
            pass

        def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
            self._note(test, "failed", "unexpected success")

    unittest.defaultTestLoader.loadTestsFromModule(module).run(Notes())


def _run_pytest(header: dict[str, Any], source: bytes, candidate: _Module, tests: list[list[str]]) -> None:
    import pytest

    path = f"/box/{_TEST_MODULE}.py"
    with open(path, "wb") as file:
        file.write(source)
    shared = {} if b"import" in source else _missing_names(_compiled(source, path)[1], candidate)
    for name, value in shared.items():
        setattr(builtins, name, value)

    class Notes:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when == "call" or report.outcome != "passed":
                outcome = {"passed": "passed", "skipped": "skipped"}.get(report.outcome)
                crash = getattr(report.longrepr, "reprcrash", None)
                message = crash.message if crash is not None else str(report.longrepr or "")
                failed = "failed" if message.startswith(("assert", "AssertionError", "Failed")) else "error"
                tests.append([report.nodeid.split("::", 1)[-1], outcome or failed, message[:_MESSAGE]])

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                tests.append([report.nodeid, "error", str(report.longrepr)[-_MESSAGE:]])

    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--rootdir=/box", "-c", "/dev/null", path]
    if pytest.main(arguments, plugins=[Notes()]) not in (0, 1, 5):
        raise RuntimeError("pytest could not run the tests")


_RUNNERS = {"check": _run_check, "asserts": _run_asserts, "unittest": _run_unittest, "pytest": _run_pytest}
