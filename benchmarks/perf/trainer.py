"""Whole RL steps of a 1.5 M parameter mixture of experts on one CPU thread: this trainer against TRL's GRPOTrainer.

python -m benchmarks.perf.trainer --out results/perf_trainer

A step is 32 prompts x 8 answers of up to 40 tokens (29 on average), log-probabilities of the reference policy, and one
AdamW update over all tokens. Both trainers start from the same checkpoint and see the same prompts; each runs in a
process of its own, in turns, so that a busy machine slows both. Rates are tokens generated per CPU second of the whole
step, its first step left out; on an idle machine that is the wall clock. The row "little memory" has no target: with
less than the whole update in memory this trainer adds a forward pass for the statistics of the global balance loss,
which TRL does not compute. ``--sweep`` measures what a step costs against
group size, length and number of experts, and plots it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.perf.trainer_contenders import Task, make_checkpoint

TARGET = 1.3
# What each was fastest with on a CPU thread; torch's grouped product and fused attention are slower at this size.
FAST = (("attn_implementation", "eager"), ("experts_implementation", "eager"))
LEAN_TOKENS = 4_096
LEAN = "BailingMoE, little memory"
SWEEPS: dict[str, Sequence[int]] = {
    "answers a prompt": (2, 4, 8, 16),
    "tokens of an answer": (20, 40, 80, 160),
    "experts a layer": (4, 8, 16, 32),
}


def run(task: Task) -> dict[str, Any]:
    """Runs one contender in a fresh process of one thread."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **single, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "benchmarks.perf.trainer_contenders", json.dumps(asdict(task))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{task.trainer} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def rate(result: dict[str, Any], clock: str = "cpu") -> float:
    """Tokens generated per second of the whole step: the median of the steps after the first."""
    return statistics.median(step["tokens"] / step[clock] for step in result["steps"][1:])


def contenders(folder: Path) -> dict[str, dict[str, Task]]:
    """Comparisons by name; in each, what differs between the two is the trainer."""
    bailing, qwen = str(folder / "bailing_moe"), str(folder / "qwen2_moe")
    pairs = {
        "BailingMoE": Task("", bailing, implementations=FAST),
        LEAN: Task("", bailing, LEAN_TOKENS, implementations=FAST),
        "Qwen2Moe": Task("", qwen, implementations=FAST),
    }
    return {
        name: {trainer: replace(task, trainer=trainer) for trainer in ("ringlite", "trl")}
        for name, task in pairs.items()
    }


def compare(folder: Path, rounds: int, steps: int) -> list[dict[str, Any]]:
    """Runs every pair ``rounds`` times, the two trainers in turns."""
    rows = []
    for name, pair in contenders(folder).items():
        results: dict[str, list[dict[str, Any]]] = {trainer: [] for trainer in pair}
        for _ in range(rounds):
            for trainer, task in pair.items():
                results[trainer].append(run(replace(task, steps=steps)))
        row: dict[str, Any] = {"name": name}
        for trainer, runs in results.items():
            lengths = [step["tokens"] for one in runs for step in one["steps"]]
            row[trainer] = {
                "tokens_per_cpu_second": statistics.median(rate(one) for one in runs),
                "tokens_per_wall_second": statistics.median(rate(one, "wall") for one in runs),
                "peak_mib": statistics.median(one["peak_mib"] for one in runs),
                "tokens_an_answer": statistics.mean(lengths) / (pair[trainer].prompts * pair[trainer].samples),
                "runs": [one["steps"] for one in runs],
            }
        ratios = [rate(a) / rate(b) for a, b in zip(results["ringlite"], results["trl"], strict=True)]
        row["ratio"], row["ratios"] = statistics.median(ratios), ratios
        rows.append(row)
        print(line(row), flush=True)
    return rows


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    ours, theirs = row["ringlite"], row["trl"]
    return (
        f"| {row['name']} | {ours['tokens_per_cpu_second']:,.0f} | {theirs['tokens_per_cpu_second']:,.0f} "
        f"| {row['ratio']:.2f} | {ours['peak_mib']:,.0f} | {theirs['peak_mib']:,.0f} "
        f"| {ours['tokens_an_answer']:.1f} | {theirs['tokens_an_answer']:.1f} |"
    )


HEADER = (
    "| model | ringlite tokens/s | TRL tokens/s | ratio | ringlite MiB | TRL MiB | ringlite tokens an answer "
    "| TRL tokens an answer |\n|---|---|---|---|---|---|---|---|"
)


def sweep(folder: Path, steps: int) -> dict[str, list[dict[str, float]]]:
    """Seconds and memory of this trainer's step, one quantity varied at a time."""
    base = replace(contenders(folder)["BailingMoE"]["ringlite"], steps=steps)
    curves: dict[str, list[dict[str, float]]] = {}
    for name, values in SWEEPS.items():
        curves[name] = []
        for value in values:
            result = run(_varied(base, name, value, folder))
            seconds = statistics.median(step["cpu"] for step in result["steps"][1:])
            point = {"x": value, "cpu_seconds": seconds, "tokens_per_cpu_second": rate(result)}
            curves[name].append({**point, "peak_mib": result["peak_mib"]})
            print(f"{name} {value}: {seconds:.2f} s a step, {rate(result):,.0f} tokens/s", flush=True)
    return curves


def _varied(base: Task, name: str, value: int, folder: Path) -> Task:
    if name == "answers a prompt":
        return replace(base, samples=value)
    if name == "tokens of an answer":
        return replace(base, new_tokens=value)
    checkpoint = folder / f"experts_{value}"
    make_checkpoint(checkpoint, "bailing_moe", experts=value)
    return replace(base, checkpoint=str(checkpoint))


def plot(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Step time against each quantity, one panel each."""
    try:
        import matplotlib as mpl
    except ImportError:
        sys.exit("the plot needs matplotlib: pip install 'ringlite[perf]'")
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(curves), figsize=(4 * len(curves), 3.2), sharey=True)
    for panel, (name, points) in zip(panels, curves.items(), strict=True):
        panel.plot([p["x"] for p in points], [p["cpu_seconds"] for p in points], marker="o")
        panel.set(xlabel=name, xscale="log", ylim=(0, None), xticks=[p["x"] for p in points])
        panel.set_xticklabels([f"{p['x']:g}" for p in points])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("CPU seconds a step")
    figure.tight_layout()
    figure.savefig(path)


def report(rows: Iterable[dict[str, Any]], curves: dict[str, list[dict[str, float]]]) -> str:
    """The tables in Markdown."""
    parts = [HEADER, *map(line, rows)]
    for name, points in curves.items():
        parts += ["", f"| {name} | CPU s a step | tokens/s | MiB |", "|---|---|---|---|"]
        parts += [
            f"| {p['x']:g} | {p['cpu_seconds']:.2f} | {p['tokens_per_cpu_second']:,.0f} | {p['peak_mib']:,.0f} |"
            for p in points
        ]
    return "\n".join(parts) + "\n"


def main() -> int:
    """Measures, prints the tables, writes JSON, Markdown and the plot; 1 where a comparison misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="processes of each contender")
    parser.add_argument("--steps", type=int, default=6, help="steps of each process, the first a warm-up")
    parser.add_argument("--sweep", action="store_true", help="also measure cost against group size, length, experts")
    parser.add_argument("--out", type=Path, default=None, help="folder for trainer.json, trainer.md and cost.svg")
    arguments = parser.parse_args()
    if arguments.steps < 2:
        parser.error("--steps must be at least 2: the first step is a warm-up")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sizes = {kind: make_checkpoint(folder / kind, kind) for kind in ("bailing_moe", "qwen2_moe")}
        print(f"parameters: {sizes}\n{HEADER}", flush=True)
        rows = compare(folder, arguments.rounds, arguments.steps)
        curves = sweep(folder, arguments.steps) if arguments.sweep else {}
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        content = {"parameters": sizes, "target": TARGET, "comparisons": rows, "sweep": curves}
        (arguments.out / "trainer.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (arguments.out / "trainer.md").write_text(report(rows, curves), encoding="utf-8")
        if curves:
            plot(curves, arguments.out / "cost.svg")
    judged = [row for row in rows if row["name"] != LEAN]
    missed = [r["name"] for r in judged if r["ratio"] < TARGET or r["ringlite"]["peak_mib"] > r["trl"]["peak_mib"]]
    if missed:
        print(f"below {TARGET}x, or more memory: {', '.join(missed)}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
