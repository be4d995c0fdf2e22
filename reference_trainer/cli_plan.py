"""``ringlite train plan`` and ``ringlite train simulate``: a recipe on a cluster, before anything runs there."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import UsageError, nearest

app = typer.Typer(rich_markup_mode=None, add_completion=False)

RecipeName = Annotated[str, typer.Option("--recipe", help="Shipped recipe (ring_lite, ring_lite_8gpu) or YAML file.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="A setting: plan.gpu.memory_gib=141; repeatable.")]
GPUs = Annotated[int | None, typer.Option("--gpus", min=1, help="GPUs. Default: the recipe's plan.gpus.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SamplingRate = Annotated[
    float | None, typer.Option("--sampling-rate", help="Measured tokens/s a GPU of a full engine.")
]
TrainingRate = Annotated[float | None, typer.Option("--training-rate", help="Measured trained tokens/s a GPU.")]
Utilisation = Annotated[float | None, typer.Option("--mfu", help="Share of the GPU's peak that training reaches.")]


@app.command("plan")
def plan_command(
    recipe: RecipeName = "ring_lite",
    gpus: GPUs = None,
    sampling_rate: SamplingRate = None,
    training_rate: TrainingRate = None,
    mfu: Utilisation = None,
    change: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Print what a recipe takes: memory of a GPU, tokens, steps, epochs and hours of each stage; run nothing.

    Hours follow from rates that were measured, or from what the machine's data sheet allows; the output says which, and
    compares with the paper's figures where the recipe is the paper's.
    """
    from reference_trainer.plan.plan import cluster, plan
    from reference_trainer.plan.render import render
    from reference_trainer.recipe import load_recipe, parse_changes

    _refuse_rates(sampling_rate, training_rate, mfu)
    loaded = load_recipe(recipe, parse_changes(change or []))
    planned = plan(loaded, cluster(loaded, gpus, sampling_rate, training_rate, mfu))
    typer.echo(json.dumps(planned.to_json(), indent=2) if as_json else render(planned))


@app.command("simulate")
def simulate_command(
    recipe: RecipeName = "ring_lite_256gpu",
    stage: Annotated[str, typer.Option(help="c3po_math or c3po_code_science.")] = "c3po_math",
    steps: Annotated[int | None, typer.Option(min=2, help="Steps. Default: the stage's.")] = None,
    gpus: GPUs = None,
    mean: Annotated[float | None, typer.Option(help="Mean tokens of a response. Default: the recipe's.")] = None,
    sigma: Annotated[float | None, typer.Option(help="Of log length before the limit. Default: the recipe's.")] = None,
    percentiles: Annotated[str | None, typer.Option(help="In place of sigma: P50,P90 in tokens.")] = None,
    growth: Annotated[float, typer.Option(help="Relative change of the mean a step.")] = 0.0,
    drift: Annotated[float, typer.Option(min=0, help="Standard deviation of the log mean over steps.")] = 0.1,
    prompt_share: Annotated[float, typer.Option(min=0, max=1, help="Share of the variance between prompts.")] = 0.5,
    lengths: Annotated[
        Path | None, typer.Option(help="Measured lengths: metrics.jsonl of a run, or rows of step and length(s).")
    ] = None,
    sampling_rate: SamplingRate = None,
    training_rate: TrainingRate = None,
    mfu: Utilisation = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the lengths.")] = 0,
    svg: Annotated[Path | None, typer.Option(help="Write the curves to this file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write every step to this JSON file.")] = None,
    change: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Simulate the steps of GRPO and C3PO on a cluster: step time, throughput, and how much they vary.

    Both get the same response lengths, drawn from a law or measured in a run; what differs is which tokens are trained
    on, and how many prompts are sampled.
    """
    from reference_trainer.plan.lengths import Lognormal, Trajectory, read_measured, sigma_of
    from reference_trainer.plan.plan import cluster
    from reference_trainer.plan.simulate import assumptions, make_cluster, objectives, simulate, to_json
    from reference_trainer.recipe import load_recipe, parse_changes

    _refuse_rates(sampling_rate, training_rate, mfu)
    loaded = load_recipe(recipe, parse_changes(change or []))
    stages = {"c3po_math": loaded.c3po_math, "c3po_code_science": loaded.c3po_code_science}
    if stage not in stages:
        raise UsageError(f"--stage {stage}: it is one of {', '.join(stages)}{nearest(stage, stages)}")
    chosen = stages[stage]
    if percentiles is not None:
        sigma = sigma_of(*_two(percentiles))
    law = Lognormal(
        mean if mean is not None else _mean_of(loaded.plan.response_tokens, stage),
        sigma if sigma is not None else loaded.plan.response_sigma,
        chosen.rl.rollout.max_new_tokens,
        growth,
        drift,
        prompt_share=prompt_share,
    )
    source = law if lengths is None else read_measured(lengths, law)
    count = steps or chosen.steps
    machine = make_cluster(loaded, chosen, stage, cluster(loaded, gpus, sampling_rate, training_rate, mfu))
    runs = simulate(machine, chosen, Trajectory(source, count, seed), count, objectives(chosen, machine.gpus))
    told = assumptions(machine, source.describe())
    inputs = {"recipe": loaded.name, "stage": stage, "steps": count, "seed": seed, "gpus": machine.gpus}
    content = to_json(runs, told, inputs)
    if svg is not None:
        from reference_trainer.plan.draw import draw

        _write(svg, draw(runs, f"{loaded.name}, {stage}, {machine.gpus} GPUs: simulated steps"))
    if out is not None:
        _write(out, json.dumps(content, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    typer.echo(_table(content))


def _table(content: dict[str, Any]) -> str:
    shown = ("sampled", "trained", "fill", "rollout_seconds", "training_seconds", "seconds", "throughput")
    lines = [f"{'':14}" + "".join(f"{name.replace('_seconds', ' s'):>17}" for name in shown)]
    for run in content["summary"]:
        for label, key in ((run["name"], "mean"), ("  CoV", "cov"), ("  end/start", "end_over_start")):
            digits = 0 if key == "mean" else 3
            cells = (f"{run[name][key]:17,.{2 if name == 'fill' else digits}f}" for name in shown)
            lines.append(f"{label:14}" + "".join(cells))
    lines.append("CoV: standard deviation over mean of the steps; end/start: last tenth of the steps over the first")
    lines += [f"- {run['name']}: {run['meaning']}" for run in content["summary"]]
    return "\n".join([*lines, "Assumptions", *(f"- {text}" for text in content["assumptions"])])


def _refuse_rates(*rates: float | None) -> None:
    for name, rate in zip(("--sampling-rate", "--training-rate", "--mfu"), rates, strict=True):
        if rate is not None and (rate <= 0 or (name == "--mfu" and rate > 1)):
            raise UsageError(f"{name} {rate:g}: it must be above 0{' and at most 1' if name == '--mfu' else ''}")


def _two(text: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--percentiles {text}: give two numbers of tokens, as 10000,22000") from None
    return first, second


def _mean_of(means: dict[str, float], stage: str) -> float:
    if stage not in means:
        raise UsageError(f"the recipe has no plan.response_tokens.{stage}: give the mean length with --mean")
    return means[stage]


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
