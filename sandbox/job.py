"""What goes into the sandbox and what comes out; the same models serve the library, the batch files and HTTP."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sandbox.errors import InvalidJob

Language = Literal["python", "cpp", "java"]
Mode = Literal["run", "judge", "call", "unit"]
Verdict = Literal[
    "accepted",
    "wrong_answer",
    "runtime_error",
    "time_limit",
    "memory_limit",
    "output_limit",
    "compile_error",
    "refused",  # policy or malformed job: nothing was run
    "internal_error",  # ours: retried and counted, never blamed on the program
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Model):
    """Limits of one job; each case of a job gets them afresh.

    Attributes:
        time_s: CPU seconds of the whole process tree.
        wall_s: Wall-clock seconds; None: a generous multiple of ``time_s``.
        memory_mb: Resident memory of the whole process tree, in MiB.
        output_kb: KiB of standard output and of standard error, each.
        processes: Processes and threads alive at once.
        file_kb: KiB that the job may write to its own files.
    """

    time_s: float = Field(10.0, gt=0, le=3600)
    wall_s: float | None = Field(None, gt=0, le=7200)
    memory_mb: int = Field(512, ge=16, le=1 << 20)
    output_kb: int = Field(4096, ge=1, le=1 << 20)
    processes: int = Field(64, ge=1, le=4096)
    file_kb: int = Field(65536, ge=0, le=1 << 22)


class Checker(_Model):
    """How the output of a judged case is compared.

    ``exact``: byte for byte. ``lines`` (default): equal after white space at line ends and blank lines at the end are
    dropped. ``tokens``: equal white-space separated tokens. ``float``: tokens, numbers within ``abs`` or ``rel``.
    ``lcb``: LiveCodeBench's rule (line by line, exact or equal as decimals). ``program``: ``code`` in ``language``
    is run, isolated, with files ``input``, ``expected`` and ``output`` as arguments; exit code 0 accepts.
    """

    type: Literal["exact", "lines", "tokens", "float", "lcb", "program"] = "lines"
    abs: float = 1e-6
    rel: float = 1e-6
    code: str | None = None
    language: Language = "cpp"


class JudgeCase(_Model):
    """One stdin/stdout case."""

    stdin: str = ""
    expected: str
    checker: Checker | None = None


class CallCase(_Model):
    """One function call. ``expected_py`` is a Python literal, for values JSON lacks (tuple, set, nan)."""

    args: list[Any] = Field(default_factory=list)
    args_py: str | None = None
    kwargs: dict[str, Any] = Field(default_factory=dict)
    expected: Any = None
    expected_py: str | None = None
    expected_exception: str | None = None


class JudgeTests(_Model):
    """Cases of a ``judge`` job."""

    cases: list[JudgeCase] = Field(min_length=1)


class CallTests(_Model):
    """Cases of a ``call`` job; ``entry_point`` is ``f`` or ``Class.method`` (a fresh object for each case)."""

    entry_point: str
    cases: list[CallCase] = Field(min_length=1)


class UnitTests(_Model):
    """Tests of a ``unit`` job. ``entry_point`` only for ``check``: HumanEval's ``check(candidate)``."""

    framework: Literal["unittest", "pytest", "check", "asserts"]
    test_code: str
    module: str = "solution"
    entry_point: str | None = None


class Options(_Model):
    """Everything else. ``arg_types`` and ``return_type``: ``ListNode``, ``TreeNode``, ``list[ListNode]``, ...

    ``compare``: what a ``call`` compares, e.g. ``args[0]`` for functions that change their argument; None: the result.
    ``stop_at_first_failure``: cases after the first that is not accepted are not run.
    """

    std: Literal["c++17", "c++20"] = "c++17"
    prelude: Literal["leetcode"] | None = None
    arg_types: list[str] | None = None
    return_type: str | None = None
    compare: str | None = None
    float_abs: float | None = None
    float_rel: float | None = None
    files: dict[str, str] = Field(default_factory=dict)
    args: list[str] = Field(default_factory=list)
    stdin: str = ""
    stop_at_first_failure: bool = False


# Frozen, so one will do for all jobs; pydantic copies a plain default deeply for each.
_DEFAULT_LIMITS, _DEFAULT_OPTIONS = Limits(), Options()


class Job(_Model):
    """One program and what to do with it. ``tests`` in a batch line of mode ``judge`` is a bare list of cases."""

    id: str = ""
    language: Language = "python"
    mode: Mode = "run"
    code: str
    tests: JudgeTests | CallTests | UnitTests | None = None
    limits: Limits = Field(default_factory=lambda: _DEFAULT_LIMITS)
    compile_limits: Limits | None = None
    options: Options = Field(default_factory=lambda: _DEFAULT_OPTIONS)

    @model_validator(mode="before")
    @classmethod
    def _tests_follow_mode(cls, data: Any) -> Any:
        """Reads ``tests`` as what the mode calls for, so that an error names the one field that is wrong."""
        if not isinstance(data, dict):
            return data
        mode, tests = data.get("mode", "run"), data.get("tests")
        kinds: dict[str, type[_Model]] = {"judge": JudgeTests, "call": CallTests, "unit": UnitTests}
        kind = kinds.get(mode) if isinstance(mode, str) else None
        if kind is None:
            if tests is not None and mode == "run":
                raise ValueError("a job of mode 'run' takes no tests")
            return data
        if tests is None:
            raise ValueError(f"a job of mode '{mode}' needs tests")
        if kind is JudgeTests and isinstance(tests, list):
            tests = {"cases": tests}
        if isinstance(tests, BaseModel) and not isinstance(tests, kind):
            raise ValueError(f"the tests of a job of mode '{mode}' are a {kind.__name__}, not a {type(tests).__name__}")
        try:
            return {**data, "tests": kind.model_validate(tests)}
        except ValidationError as error:
            raise ValueError(_first_complaint(error, "tests.")) from None


class CaseResult(_Model):
    """What happened in one case. ``cpu_s``: seconds of CPU of the process tree; ``memory_mb``: its peak, MiB."""

    verdict: Verdict
    cpu_s: float = 0.0
    wall_s: float = 0.0
    memory_mb: float = 0.0
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""


class Result(_Model):
    """The verdict on a job with its evidence; the job's verdict is that of the first case that is not accepted.

    ``input_sha256``: batch only, the SHA-256 of the input line; resuming compares it.
    """

    id: str = ""
    verdict: Verdict
    cases: list[CaseResult] = Field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    memory_mb: float = 0.0
    exit_code: int | None = None
    signal: int | None = None
    stdout: str = ""
    stderr: str = ""
    stdout_cut: int = 0
    stderr_cut: int = 0
    message: str = ""
    isolation: str = ""
    retries: int = 0
    input_sha256: str = ""


def _first_complaint(error: ValidationError, prefix: str = "") -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = prefix + ".".join(str(part) for part in first["loc"])
    text = first["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "should be")
    text = f"{place.rstrip('.')}: {text}" if place else text
    more = error.error_count() - 1
    return f"{text} (and {more} more)" if more else text


def parse_job(data: Any) -> Job:
    """Reads a job from decoded JSON in the format of the batch files.

    Raises:
        InvalidJob: One sentence that names the field.
    """
    try:
        return Job.model_validate(data)
    except ValidationError as error:
        raise InvalidJob(_first_complaint(error)) from None
