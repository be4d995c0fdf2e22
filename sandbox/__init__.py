"""Run, judge, call and unit-test untrusted code in isolation.

    with Sandbox(workers=4) as sandbox:
        result = sandbox.judge("print(int(input()) + 1)", [{"stdin": "1", "expected": "2"}])
        assert result.verdict == "accepted"

The names below are loaded when they are first used: processes inside the containers import parts of this package and
must stay small.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.aio import AsyncSandbox
    from sandbox.engine import Sandbox
    from sandbox.errors import InvalidJob, IsolationUnavailable, SandboxError
    from sandbox.hostcheck import doctor
    from sandbox.job import CaseResult, Checker, Job, Limits, Options, Result, Verdict, parse_job

_HOMES = {
    "AsyncSandbox": "aio",
    "doctor": "hostcheck",
    "Sandbox": "engine",
    **dict.fromkeys(("InvalidJob", "IsolationUnavailable", "SandboxError"), "errors"),
    **dict.fromkeys(("CaseResult", "Checker", "Job", "Limits", "Options", "Result", "Verdict", "parse_job"), "job"),
}

__all__ = [
    "AsyncSandbox",
    "CaseResult",
    "Checker",
    "InvalidJob",
    "IsolationUnavailable",
    "Job",
    "Limits",
    "Options",
    "Result",
    "Sandbox",
    "SandboxError",
    "Verdict",
    "doctor",
    "parse_job",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
