"""``python -m reference_trainer.ship RUN_FOLDER``: makes a finished run of the toy the one that comes with ringlite.

Base, distilled and final model go to ``reference_trainer/checkpoints/`` in half precision, and what ``ringlite score``
says of them to ``benchmarks/paper/toy.yaml``, from where the same command and ``tox -e reproduce`` hold them to it.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from subprocess import run
from typing import Any

import torch
from transformers import AutoTokenizer

from harness.errors import CheckFailed, UsageError
from reference_trainer.export import WEIGHTS
from reference_trainer.recipe import Recipe
from reference_trainer.reproduce import final_checkpoint, read_recipe
from reference_trainer.shipped import CHECKPOINTS, packaged
from reference_trainer.stages import read_manifest

ROWS = Path(__file__).parent.parent / "benchmarks" / "paper" / "toy.yaml"
SAMPLES = 16


def ship(folder: Path) -> None:
    """Exports and scores the three checkpoints of a run.

    Raises:
        UsageError: The run is not finished.
        CheckFailed: ``ringlite score`` failed.
    """
    recipe = read_recipe(folder)
    if recipe.base is None:
        raise UsageError(f"{folder} is a run without base pre-training: ship a run of the recipe toy")
    sources = {
        "toy-base": folder / "base" / f"epoch-{recipe.base.epochs}",
        "toy-distilled": folder / "select" / "checkpoint",
        "toy-final": final_checkpoint(folder),
    }
    for name, source in sources.items():
        export_half(source, CHECKPOINTS / name)
    scores = {name: score(name) for name in sources}
    ROWS.write_text(rows_file(scores, recipe, read_manifest(folder / "general")["environment"]), encoding="utf-8")


def export_half(source: Path, target: Path) -> None:
    """A copy of a checkpoint in float16: half the size, and the scores are those of the copy."""
    from safetensors.torch import load_file, save_file

    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    tensors = {name: tensor.to(torch.float16) for name, tensor in load_file(source / WEIGHTS).items()}
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text(encoding="utf-8")) | {"dtype": "float16"}
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    AutoTokenizer.from_pretrained(source).save_pretrained(target)


def score(name: str) -> dict[str, float]:
    """Benchmark -> score in percent of a packaged checkpoint, by the command that users type."""
    benchmarks = ",".join(packaged(name).benchmarks)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "ringlite", "score", "--model", name, "--benchmarks", benchmarks]
        command += ["--against", "ring-lite", "-n", str(SAMPLES), "--out", f"{scratch}/run", "--json"]
        done = run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckFailed(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return {entry["benchmark"]: 100 * entry["score"] for entry in json.loads(done.stdout)["benchmarks"]}


def rows_file(scores: Mapping[str, Mapping[str, float]], recipe: Recipe, environment: Mapping[str, Any]) -> str:
    """The table file of these scores."""
    benchmarks = list(next(iter(scores.values())))
    made = f"seed {recipe.seed}, torch {environment['torch']}, threads {environment['threads']}"
    made += f", ringlite {version('ringlite')}"
    columns = "".join(
        f"  {name}: {{title: {name}, benchmark: {name}, problems: 200, samples: {SAMPLES}, samples_source: stated}}\n"
        for name in benchmarks
    )
    rows = "".join(
        f"      {model}: [{', '.join(f'{row[name]:.2f}' for name in benchmarks)}]\n" for model, row in scores.items()
    )
    return (
        "# Scores of the packaged toy checkpoints, written by `python -m reference_trainer.ship RUN_FOLDER`.\n"
        "schema_version: 1\n"
        "name: toy\n"
        "title: the toy of ringlite\n"
        f"citation: ringlite score -n {SAMPLES} of the packaged checkpoints ({made})\n"
        "protocol: {temperature: 1.0, top_p: 1.0, max_tokens: 96, shots: 0, prompt: card}\n"
        f"columns:\n{columns}"
        "tables:\n"
        "  toy:\n"
        "    place: benchmarks/paper/toy.yaml\n"
        f"    columns: [{', '.join(benchmarks)}]\n"
        f"    rows:\n{rows}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m reference_trainer.ship RUN_FOLDER")
    ship(Path(sys.argv[1]))
