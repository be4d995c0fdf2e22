"""``ringlite score``: sample a model on benchmarks, grade, score, compare with published numbers."""

import json
from dataclasses import replace as replace_fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from harness import embedded
from harness.backends.lm_eval import LmEvalBackend
from harness.backends.openai import OpenAIBackend, OpenAIOptions
from harness.backends.replay import ReplayBackend
from harness.backends.transformers import TransformersBackend, TransformersOptions
from harness.backends.vllm import VllmBackend, VllmOptions
from harness.card import PromptStyle, card_names
from harness.cli.results import show_results
from harness.errors import UsageError, nearest
from harness.executors.executor import DEFAULT_ADDRESS, EXECUTOR_HELP, RAY_ADDRESS_HELP, Choice
from harness.executors.sampling import spread
from harness.generations import stated_sampling, survey
from harness.grading_scorers import scorer_names
from harness.loaders.livecodebench import parse_window
from harness.plugins import packaged_model
from harness.problems import LoadOptions
from harness.protocol import Task
from harness.published import DEFAULT_TARGET, find_target
from harness.run import run_tasks
from harness.run_setup import Overrides, benchmark_names, default_folder, make_task
from harness.types import Backend

app = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

VLLM_BATCH = 256  # about what vLLM draws at once where nothing else is said
BACKENDS = ("auto", "transformers", "vllm", "openai", "replay", "lm_eval")


@app.command()
def score(
    model: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint folder, .gguf file, hub name, or packaged: toy-base, toy-distilled, toy-final; with "
            "--base-url the server's name of the model; with --backend lm_eval lm-eval's model class. "
            "Default: the embedded SmolLM2-135M-Instruct."
        ),
    ] = None,
    benchmarks: Annotated[
        str | None, typer.Option(help="Names with commas between, e.g. aime24,math500; see `ringlite benchmarks`.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="Samples a problem. Default: the paper's number.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many problems of each benchmark.")] = None,
    take_all: Annotated[bool, typer.Option("--all", help="All problems (the default run takes the first 40).")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder with benchmark rows. Default: RINGLITE_DATA, then the hub.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; an interrupted run goes on there. Default: runs/MODEL-HASH.")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, transformers, vllm, openai, replay or lm_eval.")] = "auto",
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Saved generations in the place of a model: a file or a run folder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the run; each sample's own seed is derived from it.")] = 0,
    temperature: Annotated[float | None, typer.Option(help="Default: the card's (1.0). 0 is greedy.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Default: the card's (0.95).")] = None,
    top_k: Annotated[int | None, typer.Option(help="Default: the card's (0: all).")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Cap on generated tokens. Default: the card's.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Prompt variant of the card.")] = None,
    prompt_style: Annotated[
        str | None, typer.Option(help="chat or completion (the model continues the bare prompt). Default: the card's.")
    ] = None,
    gpqa_password: Annotated[
        str | None, typer.Option(help="Password of GPQA's archive. Default: RINGLITE_GPQA_PASSWORD. Never stored.")
    ] = None,
    release: Annotated[str | None, typer.Option(help="LiveCodeBench release, e.g. release_v5.")] = None,
    window: Annotated[str | None, typer.Option(help="LiveCodeBench days, e.g. 2024-08-01:2025-01-31.")] = None,
    scorer: Annotated[list[str] | None, typer.Option(help="Only this scorer; may be given several times.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Answers graded at once, with ray on each node. Default: usable CPUs.")
    ] = None,
    executor: Annotated[
        str,
        typer.Option(help=f"Where answers are graded, and sampled with the openai and vllm backends: {EXECUTOR_HELP}"),
    ] = "local",
    ray_address: Annotated[str, typer.Option(help=RAY_ADDRESS_HELP)] = DEFAULT_ADDRESS,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples drawn at once (transformers, vllm).")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16 (transformers, vllm).")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:0, ... (transformers).")] = "auto",
    tokenizer: Annotated[
        str | None, typer.Option(help="Tokenizer, if not the model's own (transformers, vllm).")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit or tag of a hub model (transformers, vllm).")] = None,
    tensor_parallel: Annotated[
        int, typer.Option(min=1, help="GPUs that one copy of the model is split over (vllm).")
    ] = 1,
    data_parallel: Annotated[int, typer.Option(min=1, help="Copies of the model (vllm).")] = 1,
    engine_args: Annotated[
        str | None,
        typer.Option(help="JSON object with further engine arguments of vLLM, e.g. '{\"max_model_len\": 32768}'."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight (openai).")] = 16,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one response may take (openai).")] = 3600,
    retry_for: Annotated[float, typer.Option(min=0, help="Seconds to wait for a server that is gone (openai).")] = 600,
    api_key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the server's key (openai).")
    ] = "OPENAI_API_KEY",
    extra_body: Annotated[
        str | None, typer.Option(help="JSON object whose fields are added to each request (openai).")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Published row to hold the scores against. Default: ring-lite; the toys' own.")
    ] = None,
    model_args: Annotated[
        str, typer.Option(help="Arguments of lm-eval's model class, e.g. pretrained=FOLDER,dtype=bfloat16.")
    ] = "",
    accept: Annotated[list[str] | None, typer.Option(help="Protocol difference to accept, on the record.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
) -> None:
    """Sample a model on benchmarks, grade, score and compare with the paper.

    Without options: the embedded SmolLM2-135M-Instruct on the first 40 problems of HumanEval, greedy, 200 tokens.
    A run that was stopped or killed goes on when the same command is given again; nothing is done twice.
    """
    chosen = _backend_name(backend, base_url, replay)
    where = Choice(executor, ray_address)
    if take_all and limit is not None:
        raise UsageError("--all and --limit contradict each other; give one of them")
    packaged = packaged_model(model) if model is not None and chosen in ("transformers", "vllm") else None
    if packaged is not None and benchmarks is None:
        benchmarks = ",".join(packaged.benchmarks)
    against = against or (packaged.against if packaged is not None else DEFAULT_TARGET)
    find_target(against)  # a typing error should cost neither a model's loading nor a run
    default_run = model is None and benchmarks is None and chosen == "transformers"
    if default_run:
        limit = embedded.LIMIT if limit is None and not take_all else limit
        temperature = embedded.TEMPERATURE if temperature is None else temperature
        max_tokens = embedded.MAX_TOKENS if max_tokens is None else max_tokens
        n = 1 if n is None else n
    elif benchmarks is None:
        raise UsageError(f"no benchmark is named; give --benchmarks, e.g. --benchmarks {','.join(card_names()[:2])}")
    names = benchmark_names(benchmarks or embedded.BENCHMARK)
    options = LoadOptions(
        gpqa_password=gpqa_password,
        release=release,
        window=parse_window(window) if window else None,
        prompt=prompt,
    )
    asked = Overrides(n, limit, temperature, top_p, top_k, max_tokens, _style(prompt_style))
    tasks = [make_task(name, data, options, asked) for name in names]
    for task in tasks:
        scorer_names(task.card, scorer or ())
    engine: Backend
    if chosen == "openai":
        if base_url is None:
            raise UsageError("the openai backend needs the address of a server: --base-url http://localhost:8000/v1")
        reached = OpenAIOptions(
            base_url,
            model,
            api_key_variable,
            concurrency,
            timeout,
            retry_for,
            extra_body=_object("--extra-body", extra_body),
        )
        engine = spread(partial(OpenAIBackend, reached), where, least=concurrency, variables=[api_key_variable])
    elif chosen == "lm_eval":
        if model is None:
            raise UsageError(
                "the lm_eval backend needs a model class of lm-eval: --model hf --model-args pretrained=..."
            )
        engine = LmEvalBackend(model, model_args)
    elif chosen == "replay":
        if replay is None:
            raise UsageError("the replay backend needs a file of saved generations: --replay FILE")
        tasks = [_replayed(task, replay, asked) for task in tasks]
        sources = {task.card.name: (task.card, task.loaded.problems) for task in tasks}
        engine = ReplayBackend(replay, sources, model)
    else:
        path = model if packaged is None else str(packaged.folder)
        path = str(embedded.embedded_model()) if path is None or path.lower() in embedded.ALIASES else path
        if chosen == "vllm":
            if device != "auto":
                raise UsageError(
                    "--device belongs to the transformers backend; vllm takes what CUDA_VISIBLE_DEVICES names"
                )
            further = _object("--engine-args", engine_args)
            at_once = (batch_size or VLLM_BATCH) * data_parallel
            started = VllmOptions(path, tokenizer, revision, dtype, tensor_parallel, data_parallel, batch_size, further)
            gpus = tensor_parallel * data_parallel
            engine = spread(partial(VllmBackend, started), where, least=2 * at_once, gpus=gpus)
        else:
            engine = TransformersBackend(TransformersOptions(path, tokenizer, revision, device, dtype, batch_size))
    _run(engine, tasks, out, asked, options, seed, scorer or (), workers, where, against, accept or (), as_json)


def _run(
    engine: Backend,
    tasks: list[Task],
    out: Path | None,
    asked: Overrides,
    options: LoadOptions,
    seed: int,
    scorers: list[str] | tuple[()],
    workers: int | None,
    where: Choice,
    against: str,
    accept: list[str] | tuple[()],
    as_json: bool,
) -> None:
    try:
        folder = out or default_folder(engine.describe(), asked, options, seed)
        _announce(tasks, folder)
        outcome = run_tasks(engine, tasks, folder, seed=seed, scorers=scorers, workers=workers, executor=where)
    except KeyboardInterrupt:
        typer.echo("stopped; what is stored is kept: the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    finally:
        engine.close()
    if outcome.missing:
        typer.echo(f"note: {outcome.missing} samples are missing in the generations", err=True)
    show_results(folder, against, accept, as_json)


def _replayed(task: Task, path: Path, asked: Overrides) -> Task:
    """The task as saved generations answer it: sampled as they state, or nobody knows how."""
    held = survey(path, task.card, task.loaded.problems)
    return replace_fields(task, params=stated_sampling(path, task.card.name, asked), n=asked.n or held.n)


def _announce(tasks: list[Task], folder: Path) -> None:
    for task in tasks:
        facts = [f"{task.card.title}: {len(task.problems)} problems x {task.n} samples"]
        if task.params is not None:
            facts.append(f"temperature {task.params.temperature:g}")
            if task.params.max_tokens is not None:
                facts.append(f"at most {task.params.max_tokens} tokens")
        typer.echo(", ".join(facts), err=True)
    typer.echo(f"run folder: {folder}", err=True)


def _backend_name(backend: str, base_url: str | None, replay: Path | None) -> str:
    if backend not in BACKENDS:
        raise UsageError(f"unknown backend '{backend}'{nearest(backend, BACKENDS)}; known: {', '.join(BACKENDS)}")
    if backend == "auto":
        return "openai" if base_url is not None else "replay" if replay is not None else "transformers"
    for option, value, owner in (("--base-url", base_url, "openai"), ("--replay", replay, "replay")):
        if value is not None and backend != owner:
            raise UsageError(f"{option} belongs to the {owner} backend, but --backend {backend} is given")
    return backend


def _style(text: str | None) -> PromptStyle | None:
    if text not in (None, "chat", "completion"):
        raise UsageError(f"unknown prompt style '{text}'{nearest(text or '', ('chat', 'completion'))}")
    return cast(PromptStyle | None, text)


def _object(option: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{option} must be a JSON object, e.g. '{{\"min_p\": 0.05}}'")
    return value
