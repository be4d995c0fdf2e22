"""Held-out scores of a checkpoint, by the harness as anybody would run it."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import reference_trainer.model  # noqa: F401  # registers bailing_moe
from harness.backends.transformers import TransformersBackend, TransformersOptions
from harness.problems import LoadOptions
from harness.run import run_tasks
from harness.run_setup import Overrides, make_task
from harness.scoring_results import evaluate
from harness.statistics import Counts
from harness.store import write_json
from reference_trainer.export import WEIGHTS
from reference_trainer.recipe import GateConfig
from reference_trainer.stages import StageRun
from reference_trainer.tasks import DOMAINS

SCORES, DONE = "scores", "scores.json"
SCORERS = ("strict", "code")
_ROWS = 256  # drawn at once: a forward of the toy costs nearly the same for 32 rows as for 256


@dataclass(frozen=True)
class DomainScore:
    """The score of one held-out set; shares of 1.

    Attributes:
        benchmark: Name of the card.
        task: The harness's hash of what was asked: benchmark, rows, prompt and sampling.
        scorer: Whose verdicts they are.
        correct: Problem id -> c_i.
        drawn: Problem id -> n_i.
        score: avg@n.
        se: Standard error of new samples of the same problems.
        low, high: Of its 95 % interval.
        truncated: Share cut at the length limit.
        mean_tokens: Of a response.
    """

    benchmark: str
    task: str
    scorer: str
    correct: Mapping[str, int]
    drawn: Mapping[str, int]
    score: float
    se: float
    low: float
    high: float
    truncated: float
    mean_tokens: float

    @property
    def problems(self) -> int:
        """P."""
        return len(self.correct)

    def counts(self, ids: list[str]) -> Counts:
        """c_i and n_i of these problems, in this order."""
        return Counts.of([self.correct[name] for name in ids], [self.drawn[name] for name in ids])


def held_out_scores(run: StageRun, checkpoint: Path) -> dict[str, DomainScore]:
    """Domain -> score of a checkpoint on the held-out rows of the run.

    Equal weights are sampled once a run, whichever stage left them: ``scores/<hash of the weights>`` is the harness's
    run folder, and a run that was killed goes on there.

    Raises:
        UsageError: The checkpoint or the rows cannot be read.
        SandboxError: Programs cannot be isolated here.
    """
    settings = run.recipe.gates
    with (checkpoint / WEIGHTS).open("rb") as weights:
        name = hashlib.file_digest(weights, "sha256").hexdigest()[:16]
    asked = {"seed": run.recipe.seed, "n": settings.n, "limit": settings.limit, "max_tokens": settings.max_tokens}
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    folder = run.run / SCORES / f"{name}-{key}"
    if not (folder / DONE).exists():
        _sample(run, checkpoint, folder, settings)
        write_json(folder / DONE, asked)
    return _read(folder)


def _sample(run: StageRun, checkpoint: Path, folder: Path, settings: GateConfig) -> None:
    # The cards ask for temperature 1 and top-p 1 of the toy; it is said again, because a gate rests on it.
    asked = Overrides(settings.n, settings.limit, 1.0, 1.0, None, settings.max_tokens)
    tasks = [make_task(f"toy_{domain}", run.of("data"), LoadOptions(), asked) for domain in DOMAINS]
    folder.mkdir(parents=True, exist_ok=True)
    backend = TransformersBackend(TransformersOptions(str(checkpoint), batch_size=_ROWS))
    try:
        run_tasks(backend, tasks, folder, seed=run.recipe.seed, scorers=SCORERS, workers=len(os.sched_getaffinity(0)))
    finally:
        backend.close()


def _read(folder: Path) -> dict[str, DomainScore]:
    found = {}
    for row in evaluate(folder).rows:
        score = row.score
        found[score.benchmark.removeprefix("toy_")] = DomainScore(
            benchmark=score.benchmark,
            task=score.task,
            scorer=score.scorer,
            correct={problem.id: problem.correct for problem in score.per_problem},
            drawn={problem.id: problem.samples for problem in score.per_problem},
            score=score.score,
            se=score.se_samp,
            low=score.interval_samp.low,
            high=score.interval_samp.high,
            truncated=score.shares.truncated,
            mean_tokens=score.tokens.mean,
        )
    return found


def as_json(score: DomainScore) -> dict[str, Any]:
    """The score as ``gate.json`` has it: null where a figure is undefined (an engine that counts no tokens)."""
    values = {
        "benchmark": score.benchmark,
        "task": score.task,
        "scorer": score.scorer,
        "score": score.score,
        "se": score.se,
        "low": score.low,
        "high": score.high,
        "problems": score.problems,
        "samples": sum(score.drawn.values()),
        "correct": dict(score.correct),
        "drawn": dict(score.drawn),
        "truncated": score.truncated,
        "mean_tokens": score.mean_tokens,
    }
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}
