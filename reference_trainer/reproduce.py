"""``python -m reference_trainer.reproduce``: the toy's recorded scores against its checkpoints, by the real command.

Every packaged checkpoint is scored by ``ringlite score`` and has to reproduce its row of ``benchmarks/paper/toy.yaml``;
a score that the guards call not comparable has to be within the card's margin.
With a run folder the final model of that run is scored too: another seed or machine gives other weights, so there only
a score below the recorded one by more than the card's margin is red.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

from harness.card import load_card
from harness.errors import CheckFailed, UsageError
from reference_trainer.recipe import Recipe, load_recipe
from reference_trainer.shipped import NAMES, packaged

SAMPLES = 8  # the first of the recorded ones: the seed is the same


@dataclass(frozen=True)
class Row:
    """One score, in percent, against the recorded one."""

    model: str
    benchmark: str
    score: float
    recorded: float
    verdict: str
    ok: bool


def reproduce(folder: Path | None) -> Iterator[Row]:
    """Scores the packaged checkpoints and, where a run is named, its final model.

    Raises:
        CheckFailed: ``ringlite score`` failed.
        UsageError: The folder holds no finished run of the toy.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for name in NAMES:
            for benchmark, score, recorded, verdict in _score(name, name, Path(scratch) / name):
                # A model that mostly does not answer is not comparable by the guards of the verdict, here it still is.
                near = abs(score - recorded) <= load_card(benchmark).margin
                held = verdict == "reproduced" or (verdict == "not comparable" and near)
                yield Row(name, benchmark, score, recorded, verdict, held)
        if folder is not None:
            final = final_checkpoint(folder)
            for benchmark, score, recorded, _ in _score(str(final), "toy-final", Path(scratch) / "run"):
                low = score < recorded - load_card(benchmark).margin
                yield Row(str(final), benchmark, score, recorded, "lower" if low else "not lower", not low)


def final_checkpoint(folder: Path) -> Path:
    """The last epoch of the general stage of a run."""
    general = read_recipe(folder).general
    checkpoint = folder / "general" / f"epoch-{general.epochs if general else 0}"
    if not checkpoint.is_dir():
        raise UsageError(f"{checkpoint} is not there: the same `ringlite train` command finishes the run")
    return checkpoint


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a run."""
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise UsageError(f"{folder} holds no run: make one with `ringlite train --recipe toy --out {folder}`")
    return load_recipe(str(path))


def _score(model: str, against: str, out: Path) -> Iterator[tuple[str, float, float, str]]:
    """``ringlite score`` on the three toy benchmarks: benchmark, score, recorded score, verdict."""
    benchmarks = ",".join(packaged(against).benchmarks)
    command = [sys.executable, "-m", "ringlite", "score", "--model", model, "--benchmarks", benchmarks]
    command += ["--against", against, "-n", str(SAMPLES), "--out", str(out), "--json"]
    done = run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckFailed(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1]}")
    for entry in json.loads(done.stdout)["benchmarks"]:
        verdict = entry["verdict"]
        yield entry["benchmark"], 100 * entry["score"], verdict["published"]["value"], verdict["outcome"]


def main(arguments: list[str]) -> int:
    """Prints a line a score; returns 1 where one is not as recorded."""
    rows = []
    for row in reproduce(Path(arguments[0]) if arguments else None):
        rows.append(row)
        told = f"{row.model:40.40} {row.benchmark:12} {row.score:6.2f}  recorded {row.recorded:6.2f}  {row.verdict}"
        sys.stdout.write(told + "\n")
        sys.stdout.flush()
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
