"""The verbs of ``ringlite sandbox``. Exit code 0: accepted; 1: not; 2: bad input, or a host that cannot do it."""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from sandbox import Sandbox
    from sandbox.job import CaseResult, Job, Result

IsolationName = Literal["strict", "full"]
LanguageName = Literal["python", "cpp", "java"]
CheckerName = Literal["lines", "exact", "tokens", "float", "lcb"]
SUFFIXES: dict[str, LanguageName] = {
    ".py": "python",
    ".cpp": "cpp",
    ".cc": "cpp",
    ".cxx": "cpp",
    ".c++": "cpp",
    ".java": "java",
}

ELSEWHERE: dict[str, str] = {}
"""Executors other than this machine, as ``module:callable``; the program that knows them adds them.

A callable takes (workers or None, isolation, address) and returns a ``sandbox.cli_batch.Judging``.
"""

app = typer.Typer(
    help="Run, judge and serve untrusted code in isolation.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FileArgument = Annotated[Path, typer.Argument(help="The program; its suffix says the language.", metavar="FILE")]
LanguageOption = Annotated[LanguageName | None, typer.Option("--language", "-l", help="Default: from the suffix.")]
TimeOption = Annotated[float, typer.Option("--time", help="CPU seconds of the process tree, per case.")]
WallOption = Annotated[float | None, typer.Option("--wall", help="Wall-clock seconds; default: a multiple of --time.")]
MemoryOption = Annotated[int, typer.Option("--memory", help="MiB of resident memory of the process tree.")]
OutputOption = Annotated[int, typer.Option("--output", help="KiB of stdout and of stderr, each.")]
ProcessesOption = Annotated[int, typer.Option("--processes", help="Processes and threads alive at once.")]
StdOption = Annotated[Literal["c++17", "c++20"], typer.Option("--std", help="C++ standard.")]
IsolationOption = Annotated[IsolationName, typer.Option("--isolation", help="The level; a host that cannot: refused.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


@app.command()
def run(
    file: FileArgument,
    args: Annotated[list[str] | None, typer.Argument(help="Arguments of the program.", metavar="[ARG]...")] = None,
    stdin: Annotated[str | None, typer.Option("--stdin", help="Text for its standard input.")] = None,
    stdin_file: Annotated[
        Path | None, typer.Option("--stdin-file", help="File for its standard input; '-': this command's own.")
    ] = None,
    language: LanguageOption = None,
    time_s: TimeOption = 10.0,
    wall_s: WallOption = None,
    memory_mb: MemoryOption = 512,
    output_kb: OutputOption = 4096,
    processes: ProcessesOption = 64,
    std: StdOption = "c++17",
    isolation: IsolationOption = "full",
    as_json: JsonOption = False,
) -> None:
    """Run a program; its output is passed on, the verdict is the last line of standard error."""
    if stdin is not None and stdin_file is not None:
        raise typer.BadParameter("give --stdin or --stdin-file, not both")
    limits = _limits(time_s, wall_s, memory_mb, output_kb, processes)
    text = (stdin or "") if stdin_file is None else _read_stdin(stdin_file)
    job = _job(file, language, "run", limits, {"std": std, "args": args or [], "stdin": text})
    result = _execute(job, isolation)
    if as_json:
        _print_json(result.model_dump())
    else:
        _write(sys.stdout, result.stdout)
        _write(sys.stderr, result.stderr)
        typer.echo(_headline(result), err=True)
    raise typer.Exit(0 if result.verdict == "accepted" else 1)


@app.command()
def judge(
    file: FileArgument,
    tests: Annotated[Path, typer.Option("--tests", "-t", help="Folder of .in/.out (.ans, ...) files, or JSONL.")],
    language: LanguageOption = None,
    checker: Annotated[CheckerName, typer.Option("--checker", help="How outputs are compared.")] = "lines",
    abs_tolerance: Annotated[float, typer.Option("--abs", help="Absolute tolerance of --checker float.")] = 1e-6,
    rel_tolerance: Annotated[float, typer.Option("--rel", help="Relative tolerance of --checker float.")] = 1e-6,
    checker_program: Annotated[
        Path | None, typer.Option("--checker-program", help="Program run with: input, expected, output; 0 accepts.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop-at-first-failure", help="Leave the later cases out.")] = False,
    time_s: TimeOption = 10.0,
    wall_s: WallOption = None,
    memory_mb: MemoryOption = 512,
    output_kb: OutputOption = 4096,
    processes: ProcessesOption = 64,
    std: StdOption = "c++17",
    isolation: IsolationOption = "full",
    as_json: JsonOption = False,
) -> None:
    """Judge a program against stdin/stdout cases."""
    from sandbox.cli_cases import load_cases
    from sandbox.job import Checker

    if checker_program is not None:
        how = Checker(type="program", code=_read_text(checker_program), language=_language(checker_program, None))
    else:
        how = Checker(type=checker, abs=abs_tolerance, rel=rel_tolerance)
    named = load_cases(tests, how)
    limits = _limits(time_s, wall_s, memory_mb, output_kb, processes)
    options = {"std": std, "stop_at_first_failure": stop}
    result = _execute(_job(file, language, "judge", limits, options, [case for _, case in named]), isolation)
    if as_json:
        _print_json({**result.model_dump(), "names": [name for name, _ in named]})
    else:
        for (name, _), case in zip(named, result.cases, strict=False):
            typer.echo(_case_line(name, case))
        typer.echo(_headline(result))
    raise typer.Exit(0 if result.verdict == "accepted" else 1)


@app.command()
def batch(
    source: Annotated[Path, typer.Argument(help="JSON lines, one job each; '-': standard input.", metavar="IN.jsonl")],
    target: Annotated[Path, typer.Argument(help="Results, in input order; resumed if there.", metavar="OUT.jsonl")],
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="With ray on each node. Default: one per core.")
    ] = None,
    isolation: IsolationOption = "full",
    executor: Annotated[
        str, typer.Option(help="local (this machine) or ray (every node of a Ray cluster, each in its own sandbox).")
    ] = "local",
    ray_address: Annotated[
        str, typer.Option(help="auto (RAY_ADDRESS, or this machine's cluster), local (a Ray of its own) or host:port.")
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Judge a file of jobs. Run the same command again after a kill: stored results are kept, the rest is judged."""
    from sandbox.cli_batch import judge_file

    summary = judge_file(source, target, workers, isolation, executor, ray_address)
    if as_json:
        _print_json({**summary, "output": str(target)})
    else:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in summary["verdicts"].items()) or "no jobs"
        typer.echo(
            f"{summary['jobs']} jobs ({summary['resumed']} already stored): {verdicts}; CPU {summary['cpu_s']:.2f} s, "
            f"{summary['elapsed_s']:.2f} s elapsed, isolation {', '.join(summary['isolation']) or '-'} -> {target}"
        )
    raise typer.Exit(1 if summary["verdicts"].get("internal_error") else 0)


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="A token is required unless this is loopback.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free port.")] = 8321,
    workers: Annotated[int | None, typer.Option("--workers", "-w", min=1, help="Default: one per core.")] = None,
    queue: Annotated[int, typer.Option("--queue", min=0, help="Requests that may wait; above: 429.")] = 256,
    max_body_mb: Annotated[float, typer.Option("--max-body-mb", help="Larger requests: 413.")] = 64.0,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Bearer token; else from RINGLITE_SANDBOX_TOKEN.")
    ] = None,
    isolation: IsolationOption = "full",
) -> None:
    """Serve over HTTP: POST /v1/execute and /v1/batch, GET /health, /metrics and /openapi.json."""
    from sandbox.service import ServiceSettings, serve_forever

    settings = ServiceSettings.from_options(
        host=host,
        port=port,
        workers=workers,
        queue=queue,
        max_body_bytes=int(max_body_mb * (1 << 20)),
        token_file=token_file,
        isolation=isolation,
    )
    raise typer.Exit(serve_forever(settings))


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Print what this host enforces, what is missing and how to get it; exit code 1 if 'full' cannot be had."""
    from sandbox.cli_doctor import examine

    raise typer.Exit(examine(as_json))


def _job(
    file: Path,
    language: LanguageName | None,
    mode: str,
    limits: dict[str, Any],
    options: dict[str, Any],
    tests: list[Any] | None = None,
) -> "Job":
    from sandbox.job import parse_job

    data: dict[str, Any] = {"id": file.name, "language": _language(file, language), "mode": mode}
    data |= {"code": _read_text(file), "limits": limits, "options": options}
    return parse_job(data if tests is None else {**data, "tests": tests})


def _limits(time_s: float, wall_s: float | None, memory_mb: int, output_kb: int, processes: int) -> dict[str, Any]:
    return {
        "time_s": time_s,
        "wall_s": wall_s,
        "memory_mb": memory_mb,
        "output_kb": output_kb,
        "processes": processes,
    }


def _language(file: Path, given: LanguageName | None) -> LanguageName:
    found = given or SUFFIXES.get(file.suffix.lower())
    if found is None:
        raise typer.BadParameter(f"{file}: cannot tell the language from the suffix; give --language")
    return found


def _execute(job: "Job", isolation: IsolationName) -> "Result":
    with open_sandbox(1, isolation) as sandbox:
        return sandbox.execute(job)


def open_sandbox(workers: int | None, isolation: IsolationName) -> "Sandbox":
    """Starts a sandbox, for use in a ``with`` statement; SIGTERM ends the command through its clean-up."""
    from sandbox import Sandbox

    leave_on_sigterm()
    return Sandbox(workers=workers, isolation=isolation)


def leave_on_sigterm() -> None:
    """From now on SIGTERM ends the command through its clean-up."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


def _read_text(path: Path) -> str:
    from sandbox.cli_cases import read_text

    return read_text(path)


def _read_stdin(path: Path) -> str:
    return sys.stdin.read() if str(path) == "-" else _read_text(path)


def _write(stream: Any, text: str) -> None:
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
    stream.buffer.write(data)
    stream.flush()


def _case_line(name: str, case: "CaseResult") -> str:
    note = f"  {case.message}" if case.message else ""
    return f"{name:<24} {case.verdict:<14} {case.cpu_s:8.3f} s {case.memory_mb:8.1f} MiB{note}"


def _headline(result: "Result") -> str:
    text = f"{result.verdict}: CPU {result.cpu_s:.3f} s, wall {result.wall_s:.3f} s, memory {result.memory_mb:.1f} MiB"
    if result.signal is not None:
        text += f", signal {result.signal}"
    elif result.exit_code is not None:
        text += f", exit code {result.exit_code}"
    for stream, cut in (("stdout", result.stdout_cut), ("stderr", result.stderr_cut)):
        text += f", {cut} bytes of {stream} cut" if cut else ""
    text += f", isolation {result.isolation}" if result.isolation else ""
    return f"{text}: {result.message}" if result.message else text


def _print_json(data: dict[str, Any]) -> None:
    typer.echo(json.dumps(data))
