"""Modes ``run`` and ``judge``: a program, its standard input, its output compared outside."""

from dataclasses import replace

from sandbox.checkers import check
from sandbox.container import Container
from sandbox.errors import InvalidJob
from sandbox.job import CaseResult, Checker, Job, JudgeCase, JudgeTests, Limits, Result, Verdict
from sandbox.languages import Command, CompileFailed, Outcome, Program, load
from sandbox.languages.host import encode_text
from sandbox.pool import Pool
from sandbox.process import Prepared, closing, prepare, run
from sandbox.verdicts import case_result, describe, python_syntax, summarize, verdict_of
from sandbox.workshop import Workshop

_CHECKER_LIMITS = Limits(time_s=10.0, memory_mb=1024)


def run_program(job: Job, program: Program, pool: Pool, isolation: str) -> Result:
    """Mode ``run``: ``accepted`` if the program ends by itself with exit code 0."""
    with pool.lease(program.image, program.scratch_kb(job.limits)) as container, closing([]) as fds:
        prepared = prepare(program, job.limits, job.options.args, job_files(job))
        fds.append(prepared.packed)
        outcome = run(container, prepared, encode_text(job.options.stdin))
    outcome, verdict, message = _plain(outcome, program)
    return summarize(job, [case_result(outcome, verdict, message)], [outcome], isolation)


def judge(job: Job, program: Program, pool: Pool, workshop: Workshop, isolation: str) -> Result:
    """Mode ``judge``: each case in a process tree of its own, under limits of its own."""
    if not isinstance(job.tests, JudgeTests):
        raise InvalidJob("tests: a job of mode 'judge' needs a list of cases")
    cases: list[CaseResult] = []
    outcomes: list[Outcome] = []
    with pool.lease(program.image, program.scratch_kb(job.limits)) as container, closing([]) as fds:
        prepared = prepare(program, job.limits, job.options.args, job_files(job))
        fds.append(prepared.packed)
        for case in job.tests.cases:
            outcome, verdict, message = _judge_case(case, program, container, prepared, workshop)
            cases.append(case_result(outcome, verdict, message))
            outcomes.append(outcome)
            if verdict == "compile_error" or (verdict != "accepted" and job.options.stop_at_first_failure):
                break
    return summarize(job, cases, outcomes, isolation)


def _judge_case(
    case: JudgeCase, program: Program, container: Container, prepared: Prepared, workshop: Workshop
) -> tuple[Outcome, Verdict, str]:
    stdin = encode_text(case.stdin)
    outcome, verdict, message = _plain(run(container, prepared, stdin), program)
    if verdict == "accepted":
        expected = encode_text(case.expected)
        checker = case.checker or Checker()
        if checker.type == "program":
            message = _ask_checker(checker, stdin, expected, outcome.stdout, workshop)
        else:
            message = check(checker, outcome.stdout, expected)
        verdict = "wrong_answer" if message else "accepted"
    return outcome, verdict, message


def _plain(outcome: Outcome, program: Program) -> tuple[Outcome, Verdict, str]:
    if program.python is not None and python_syntax(outcome):
        return replace(outcome, exit_code=1), "compile_error", describe(replace(outcome, exit_code=1))
    outcome = program.explain(outcome)
    return outcome, verdict_of(outcome), describe(outcome)


def job_files(job: Job) -> dict[str, bytes]:
    """The files of ``options.files``.

    Raises:
        InvalidJob: A name leads out of the working directory.
    """
    files = {}
    for name, content in job.options.files.items():
        parts = name.split("/")
        if name.startswith("/") or not all(parts) or {".", ".."} & set(parts) or "\0" in name:
            raise InvalidJob(f"options.files: {name!r} is no relative path below the working directory")
        files[name] = encode_text(content)
    return files


def _ask_checker(checker: Checker, stdin: bytes, expected: bytes, output: bytes, workshop: Workshop) -> str:
    """Runs a checker program where no candidate ever was; an empty string accepts."""
    if checker.code is None:
        raise InvalidJob("checker.code: a checker of type 'program' needs its source")
    job = Job(language=checker.language, mode="run", code=checker.code)
    try:
        program = load(checker.language).compile(job, workshop)
    except CompileFailed as error:
        raise InvalidJob(f"checker.code: the checker does not compile: {error}") from error
    files = {"input": stdin, "expected": expected, "output": output}
    command = program.command
    if program.python is not None:
        files["main.py"] = encode_text(program.python)
        command = Command(("/usr/bin/python3", "main.py"))
    argv = (*command.argv, "input", "expected", "output")
    outcome = workshop.run(
        program.image, replace(command, argv=argv, files={**command.files, **files}, limits=_CHECKER_LIMITS)
    )
    if outcome.ending not in ("exited",):
        raise InvalidJob(f"checker.code: the checker failed: {describe(outcome)}")
    said = (outcome.stdout + outcome.stderr).decode("utf-8", "replace").strip()[:300]
    return "" if outcome.exit_code == 0 else said or f"the checker ended with exit code {outcome.exit_code}"
