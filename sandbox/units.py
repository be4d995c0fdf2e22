"""Mode ``unit``: the tests run in one container, the candidate in another; a socket that carries data only joins them.

The candidate never sees the tests' code, memory or files; the outcome of each test comes from the tests' side.
"""

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sandbox.container import Container, Job
from sandbox.errors import InvalidJob
from sandbox.examiner import MEMORY_MB as EXAMINER_MB
from sandbox.examiner import Examined, Examiners
from sandbox.foreseen import Foreseen, foresee
from sandbox.job import CaseResult, Limits, Result, UnitTests, Verdict
from sandbox.job import Job as SandboxJob
from sandbox.judge import job_files
from sandbox.languages import Language, Outcome
from sandbox.languages.python import Python
from sandbox.plain_tests import is_plain
from sandbox.pool import Pool
from sandbox.process import closing, empty, outcome, pack, pack_python, read, sealed
from sandbox.verdicts import case_result, describe, python_syntax, verdict_of

_TESTS_MB = 256
"""Memory that the tests get beside ``limits.memory_mb``: a test framework is not the candidate's to pay for."""
_REPORT_BYTES = 16 << 20
_PARTING = 0.02  # seconds for a candidate that has nothing left to do to end by itself, which is cheaper than a kill
_HEAD_START = 0.01
"""Seconds after which tests begin beside a candidate that needs no word of them: most have ended, and no one waits."""
_OUTCOMES: dict[str, Verdict] = {
    "passed": "accepted",
    "skipped": "accepted",
    "failed": "wrong_answer",
    "error": "runtime_error",
    "gone": "runtime_error",
}


def run(job: SandboxJob, language: Language, pool: Pool, examiners: Examiners, isolation: str) -> Result:
    """Runs the tests against the candidate."""
    tests = job.tests
    if not isinstance(language, Python):
        raise InvalidJob(f"mode: unit is not available in {job.language}; use run or judge")
    if not isinstance(tests, UnitTests):
        raise InvalidJob("tests: a job of mode 'unit' needs a framework and test_code")
    if tests.framework == "check" and not tests.entry_point:
        raise InvalidJob("tests.entry_point: framework 'check' needs the name that check() is called with")
    if not all(part.isidentifier() for part in tests.module.split(".")):
        raise InvalidJob(f"tests.module: {tests.module!r} is no module name")
    sides = _Sides(job, tests, language, pool, examiners)
    if not sides.is_plain:
        return _result(job, *sides.apart(), isolation)
    ahead = foresee(tests.test_code, tests.framework)
    candidate, test_side, report = sides.plain(ahead)
    if "unforeseen" in report:
        ahead = None
        candidate, test_side, report = sides.plain(None)
    if ahead and candidate.limit and "gone" not in report and any(test[1] != "passed" for test in report["tests"]):
        candidate = replace(candidate, ending="exited", limit="")  # in a call after the one that failed the tests
    return _result(job, candidate, test_side, report, isolation)


class _Sides:
    """The two processes of a job: the candidate's always a fresh one, the tests' a fresh one unless they are plain."""

    def __init__(self, job: SandboxJob, tests: UnitTests, language: Python, pool: Pool, examiners: Examiners) -> None:
        self._job, self._tests, self._pool, self._examiners = job, tests, pool, examiners
        self._image = language.image_for(job.code)
        self._tests_image = language.tests_image(tests.framework, tests.test_code)
        self._more = _with_room(job.limits)
        in_process = tests.framework in ("check", "asserts") and self._more.memory_mb <= EXAMINER_MB
        self.is_plain = in_process and is_plain(tests.test_code)

    def plain(self, ahead: Foreseen | None) -> tuple[Outcome, Outcome, dict[str, Any]]:
        """Plain tests run in a warm examiner; the candidate makes the calls of ``ahead`` on its own."""
        job, more = self._job, self._more
        with (
            self._pool.lease(self._image, job.limits.file_kb) as container,
            self._examiners.lend(self._tests_image, more) as examiner,
            self._joined() as (fds, ours, theirs),
        ):
            self._start_candidate(container, fds, theirs, ahead, answers=1)
            if ahead is not None and ahead.all:
                container.has_report(_HEAD_START)
            header = {**_tests_header(self._tests, ahead), "cap": job.limits.output_kb * 1024}
            examined = examiner.run(header, [ours.fileno(), fds[4]], container, more)
            ours.close()
            passed = all(test[1] == "passed" for test in examined.report.get("tests", [])) and bool(examined.report)
            return self._collect(container, examined, fds, leaves=passed and ahead is not None and ahead.all)

    def apart(self) -> tuple[Outcome, Outcome, dict[str, Any]]:
        """Any other tests get a process of their own."""
        job, more = self._job, self._more
        with (
            self._pool.lease(self._image, job.limits.file_kb) as container,
            self._pool.lease(self._tests_image, job.limits.file_kb) as examiner,
            self._joined() as (fds, ours, theirs),
        ):
            self._start_candidate(container, fds, theirs, None, answers=0)
            fds += [empty(), empty(), empty(), sealed(b""), pack(_tests_header(self._tests, None))]
            channels = (ours.fileno(), fds[6])
            examiner.start(Job("tests", [fds[8], fds[7], fds[4], fds[5]], more, channels))
            ours.close()
            seen = examiner.wait()
            cap = job.limits.output_kb * 1024
            text, cut = read(fds[6], _REPORT_BYTES)
            report = json.loads(text) if text and not cut else {}
            return self._collect(container, Examined(seen, report, read(fds[4], cap), read(fds[5], cap)), fds)

    @contextlib.contextmanager
    def _joined(self) -> Iterator[tuple[list[int], socket.socket, socket.socket]]:
        ours, theirs = socket.socketpair()
        with closing([]) as fds, ours, theirs:
            yield fds, ours, theirs

    def _start_candidate(
        self,
        container: Container,
        fds: list[int],
        theirs: socket.socket,
        ahead: Foreseen | None,
        answers: int,
    ) -> None:
        """Starts it with ``answers`` files for what it answers ahead."""
        fds += [_pack_candidate(self._job, self._tests, ahead), sealed(b""), empty(), empty()]
        fds += [empty() for _ in range(answers)]
        container.start(Job("module", fds[:4], self._job.limits, (theirs.fileno(), *fds[4:])))
        theirs.close()

    def _collect(
        self, container: Container, examined: Examined, fds: list[int], leaves: bool = False
    ) -> tuple[Outcome, Outcome, dict[str, Any]]:
        cap = self._job.limits.output_kb * 1024
        test_side = outcome(examined.seen, self._more, examined.stdout, examined.stderr)
        if test_side.stdout_cut or test_side.stderr_cut:
            test_side = replace(test_side, ending="output_limit", limit=f"{self._job.limits.output_kb} KiB of output")
        last = container.wait() if container.has_report(_PARTING if leaves else 0.0) else container.stop()
        candidate = outcome(last, self._job.limits, read(fds[2], cap), read(fds[3], cap))
        return candidate, test_side, examined.report


@lru_cache(maxsize=64)
def _with_room(limits: Limits) -> Limits:
    return limits.model_copy(update={"memory_mb": limits.memory_mb + _TESTS_MB, "processes": limits.processes + 16})


def _pack_candidate(job: SandboxJob, tests: UnitTests, ahead: Foreseen | None) -> int:
    source = job.code.encode("utf-8", "surrogatepass")
    plan = (ahead.names, ahead.calls, ahead.all) if ahead else None
    body = (tests.module, source, tests.entry_point, plan)
    path = tests.module.replace(".", "/") + ".py"
    return pack_python(body, job.code, path, job_files(job), args=job.options.args)


def _tests_header(tests: UnitTests, ahead: Foreseen | None) -> dict[str, Any]:
    plan = {"names": ahead.names, "functions": ahead.functions, "guarded": ahead.guarded} if ahead else None
    return {
        "ahead": plan,
        "module": tests.module,
        "framework": tests.framework,
        "entry_point": tests.entry_point,
        "source": tests.test_code.encode("utf-8", "surrogatepass"),
    }


def _result(job: SandboxJob, candidate: Outcome, test_side: Outcome, report: dict[str, Any], isolation: str) -> Result:
    cpu_s, stdout, stderr = (
        round(candidate.cpu_s + test_side.cpu_s, 6),
        candidate.stdout + test_side.stdout,
        candidate.stderr + test_side.stderr,
    )
    cases = [
        CaseResult(verdict=_OUTCOMES[outcome], message=f"{name}: {message}" if message else name)
        for name, outcome, message in report.get("tests", [])
    ]
    verdict, message = _overall(candidate, test_side, report, cases)
    if not cases:
        cases = [case_result(replace(candidate, cpu_s=cpu_s, wall_s=test_side.wall_s), verdict, message)]
    stopped = candidate.exit_code is None and candidate.signal is not None and not candidate.limit
    return Result(
        id=job.id,
        verdict=verdict,
        cases=cases,
        cpu_s=cpu_s,
        wall_s=test_side.wall_s,
        memory_mb=candidate.memory_mb,
        exit_code=None if stopped else candidate.exit_code,
        signal=None if stopped else candidate.signal,
        stdout=stdout.decode("utf-8", "replace"),
        stderr=stderr.decode("utf-8", "replace"),
        stdout_cut=candidate.stdout_cut,
        stderr_cut=candidate.stderr_cut,
        message=message,
        isolation=isolation,
    )


def _overall(
    candidate: Outcome, test_side: Outcome, report: dict[str, Any], cases: list[CaseResult]
) -> tuple[Verdict, str]:
    """The candidate's limits come first, then the tests' outcomes; only a complete report of passes accepts."""
    if candidate.ending not in ("exited", "signaled"):
        return verdict_of(candidate), describe(candidate)
    if test_side.ending not in ("exited", "signaled"):
        return verdict_of(test_side), f"the tests went {describe(test_side)}"
    if "gone" in report or (not report and not test_side.ok):
        if python_syntax(candidate):
            return "compile_error", describe(replace(candidate, exit_code=1))
        why = describe(candidate) if candidate.signal is None or candidate.signal != 9 else report.get("gone", "")
        return "runtime_error", why or "the program ended before the tests did"
    if "invalid" in report:
        raise InvalidJob(f"tests.test_code: {report['invalid']}")
    if "broken" in report:
        return "runtime_error", f"the tests did not get to their end: {report['broken']}"
    if not cases:
        raise InvalidJob("tests.test_code: no test was found in it")
    failed = next((case for case in cases if case.verdict != "accepted"), None)
    if failed is None:
        return "accepted", ""
    count = sum(case.verdict != "accepted" for case in cases)
    suffix = f" ({count} of {len(cases)} tests failed)" if len(cases) > 1 else ""
    return failed.verdict, failed.message + suffix
