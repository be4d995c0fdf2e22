"""Mode ``call``: arguments go in as data, results come out as data, and are compared here, outside the candidate.

The program is loaded once and called case by case, as LeetCode and LiveCodeBench do, with fresh limits for each case
and a fresh object for each call of ``Class.method``; after a case that ended the process, the next one starts in a
new process.
"""

import os
import re
import select
import socket
from collections.abc import Iterator
from typing import Any

from sandbox import equality
from sandbox.container import Container, Job, JobEnded, Report
from sandbox.errors import InvalidJob
from sandbox.guest import wire
from sandbox.job import CallCase, CallTests, CaseResult, Limits, Options, Result, Verdict
from sandbox.job import Job as SandboxJob
from sandbox.judge import job_files
from sandbox.languages import Outcome, Program
from sandbox.literals import literal
from sandbox.pool import Pool
from sandbox.process import closing, empty, outcome, pack_python, read, sealed
from sandbox.verdicts import case_result, describe, python_syntax, summarize, verdict_of

_ENTRY_POINT = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_COMPARE = re.compile(r"args\[(-?\d+)\]")


class _Cases:
    """The cases of a job, read as data once."""

    def __init__(self, job: SandboxJob) -> None:
        if not isinstance(job.tests, CallTests):
            raise InvalidJob("tests: a job of mode 'call' needs an entry_point and cases")
        if not _ENTRY_POINT.fullmatch(job.tests.entry_point):
            raise InvalidJob(f"tests.entry_point: {job.tests.entry_point!r} is no function or Class.method")
        self.entry_point = job.tests.entry_point
        self.all = job.tests.cases
        self.arguments = [self._arguments(i, case) for i, case in enumerate(self.all)]
        self.expected = [self._expected(i, case) for i, case in enumerate(self.all)]
        self.options = job.options
        self.compare = self._compare(job.options)

    @staticmethod
    def _arguments(number: int, case: CallCase) -> bytes:
        args = case.args if case.args_py is None else literal(case.args_py, f"tests.cases.{number}.args_py")
        if not isinstance(args, list | tuple):
            raise InvalidJob(f"tests.cases.{number}.args_py: a list of arguments is needed")
        return wire.encode((list(args), case.kwargs)).encode("utf-8", "surrogatepass")

    @staticmethod
    def _expected(number: int, case: CallCase) -> Any:
        if case.expected_py is None:
            return case.expected
        return literal(case.expected_py, f"tests.cases.{number}.expected_py")

    @staticmethod
    def _compare(options: Options) -> int | None:
        if options.compare is None or options.compare == "result":
            return None
        found = _COMPARE.fullmatch(options.compare)
        if not found:
            raise InvalidJob(f"options.compare: {options.compare!r} is neither 'result' nor 'args[N]'")
        return int(found[1])

    def verdict(self, number: int, answer: Any) -> tuple[Verdict, str]:
        """The verdict on the answer of a case."""
        case = self.all[number]
        match answer:
            case ["raised", [str(name), *_] as names, str(text)]:
                if case.expected_exception is not None and case.expected_exception in names:
                    return "accepted", ""
                return "runtime_error", f"raised {name}: {text}"[:500]
            case ["returned", value] if case.expected_exception is not None:
                return (
                    "wrong_answer",
                    f"returned {equality.shown(value)}, expected {case.expected_exception} to be raised",
                )
            case ["returned", value]:
                message = equality.difference(
                    value,
                    self.expected[number],
                    json=case.expected_py is None,
                    absolute=self.options.float_abs,
                    relative=self.options.float_rel,
                )
                return ("wrong_answer" if message else "accepted"), message
            case ["odd", str(text)]:
                return "wrong_answer", f"the returned value cannot be compared: {text}"[:500]
        return "runtime_error", "the program broke off the conversation that carries its results"


def run(job: SandboxJob, program: Program, pool: Pool, isolation: str) -> Result:
    """Calls the entry point on every case."""
    if program.python is None:
        raise InvalidJob(f"mode: call is not available in {job.language}; use run or judge")
    cases = _Cases(job)
    results: list[CaseResult] = []
    outcomes: list[Outcome] = []
    with pool.lease(program.image, job.limits.file_kb) as container, closing([]) as fds:
        fds.append(_pack(job, program, cases))
        while len(results) < len(cases.all):
            for result, seen in _process(container, fds[0], job.limits, cases, len(results)):
                results.append(result)
                outcomes.append(seen)
            last = results[-1]
            if last.verdict != "accepted" and (job.options.stop_at_first_failure or last.message.startswith(_UNLOADED)):
                break
    return summarize(job, results, outcomes, isolation)


_UNLOADED = "while loading: "


def _pack(job: SandboxJob, program: Program, cases: _Cases) -> int:
    code = program.python or ""
    header = {
        "module": "solution",
        "source": code.encode("utf-8", "surrogatepass"),
        "entry_point": cases.entry_point,
        "prelude": job.options.prelude,
        "arg_types": job.options.arg_types,
        "return_type": job.options.return_type,
        "compare": cases.compare,
        "cases": cases.arguments,
    }
    env = dict(program.command.env)
    return pack_python(header, code, "main.py", job_files(job), args=job.options.args, env=env)


def _process(
    container: Container, packed: int, limits: Limits, cases: _Cases, first: int
) -> Iterator[tuple[CaseResult, Outcome]]:
    """Loads the program in a new process and calls it from case ``first`` on, until the process ends."""
    ours, theirs = socket.socketpair()
    with ours, closing([]) as fds:
        fds += [sealed(b""), empty(), empty()]
        with theirs:
            todo = len(cases.all) - first
            container.start(Job("calls", [packed, *fds], limits, (theirs.fileno(),), repeats=todo))
        talk = _Talk(container, ours, limits.output_kb * 1024)
        cap = limits.output_kb * 1024

        def seen(report: Report) -> Outcome:
            return outcome(report, limits, read(fds[1], cap), read(fds[2], cap))

        ended = talk.loaded()
        if ended is not None:
            yield _unloaded(seen(ended))
            return
        for number in range(first, len(cases.all)):
            answer, ended = talk.ask(number)
            if answer is None:
                assert ended is not None
                yield _ended(seen(ended))
                return
            try:
                report = container.mark() if number < len(cases.all) - 1 else container.stop()
            except JobEnded as end:
                report, ended = end.report, end.report
            verdict, message = cases.verdict(number, answer)
            yield _judged(seen(report), verdict, message)
            if ended is not None:
                return
            if report.status is None and report.cpu > limits.time_s:
                container.stop()
                return


def _unloaded(outcome: Outcome) -> tuple[CaseResult, Outcome]:
    verdict: Verdict = "compile_error" if python_syntax(outcome) else verdict_of(outcome)
    if verdict == "accepted":
        verdict = "runtime_error"
    return case_result(outcome, verdict, _UNLOADED + (describe(outcome) or "the program ended")), outcome


def _ended(outcome: Outcome) -> tuple[CaseResult, Outcome]:
    verdict = verdict_of(outcome)
    if verdict == "accepted":
        return case_result(outcome, "runtime_error", "the program ended without returning (exit code 0)"), outcome
    return case_result(outcome, verdict, describe(outcome)), outcome


def _judged(outcome: Outcome, verdict: Verdict, message: str) -> tuple[CaseResult, Outcome]:
    if outcome.ending in ("time_limit", "memory_limit", "output_limit"):
        return case_result(outcome, verdict_of(outcome), describe(outcome)), outcome
    return case_result(outcome, verdict, message), outcome


class _TooLong(Exception):
    """An answer larger than the output limit."""


class _Talk:
    """The conversation with a loaded candidate; whatever it says is data."""

    def __init__(self, container: Container, channel: socket.socket, cap: int) -> None:
        self._container = container
        self._channel = channel
        self._cap = cap
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._poll.register(container.control, select.POLLIN)

    def loaded(self) -> Report | None:
        """Waits until the program is loaded; the report if it ended instead."""
        data = self._receive(1)
        if data is None:
            return self._container.wait()
        return None

    def ask(self, number: int) -> tuple[Any, Report | None]:
        """Sends a case; its answer, or the report of the end."""
        nonce = os.urandom(8)
        try:
            self._channel.send(number.to_bytes(4, "big") + nonce)
        except OSError:
            return None, self._container.wait()
        try:
            head = self._receive(12)
            if head is None:
                return None, self._container.wait()
            length = int.from_bytes(head[:4], "big")
            if head[4:] != nonce:
                return ["broken"], None
            if length > self._cap:
                raise _TooLong
            body = self._receive(length)
        except _TooLong:
            return ["odd", f"it is larger than the output limit of {self._cap // 1024} KiB"], None
        if body is None:
            return None, self._container.wait()
        try:
            return wire.decode(body), None
        except ValueError:
            return ["broken"], None

    def _receive(self, size: int) -> bytes | None:
        """Exactly ``size`` bytes; None: the job has ended (its report waits) or hung up."""
        data = bytearray()
        while len(data) < size:
            events = dict(self._poll.poll())
            if self._channel.fileno() in events:
                try:
                    piece = self._channel.recv(min(size - len(data), 1 << 20))
                except ConnectionError:  # it hung up with our question unread
                    return None
                if piece:
                    data += piece
                    continue
                return None
            if self._container.control.fileno() in events:
                return None
        return bytes(data)
