"""The trainings that the experiments share: one distillation a seed, and arms of reinforcement learning from it.

Every arm is a stage of the pipeline (settings, inputs, manifest, resume), so nothing is trained twice, whichever
experiments are run, and a killed one goes on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.loaders.read import read_rows
from harness.store import write_json
from reference_trainer.export import load_checkpoint_model
from reference_trainer.metrics import read_rows as read_metrics
from reference_trainer.recipe import Recipe, RLStageConfig
from reference_trainer.stages import STAGES, Stage, StageRun, run_stage, stages_of
from reference_trainer.stages.measure import sample, verify
from reference_trainer.stages.reinforcement import CHECKPOINT, reinforce
from reference_trainer.stages.sources import load_tokenizer
from reference_trainer.stages.stage import derived_seed
from reference_trainer.tasks import DOMAINS, Domain, Verifier
from reference_trainer.tasks.files import read_problems
from reference_trainer.tasks.tokenizer import stream_prompts

ALL_STAGES = {stage.name for stage in STAGES}
EVALUATION, METRICS, TIMINGS = "evaluation.json", "metrics.jsonl", "timings.jsonl"


@dataclass(frozen=True)
class Arm:
    """One training by reinforcement learning.

    Attributes:
        name: Unique among the arms of a seed.
        start: Epoch of the distillation, or the arm that it continues.
        domains: Whose problems are drawn.
        steps: Iterations.
        loss: Objective.
    """

    name: str
    start: "int | Arm"
    domains: tuple[Domain, ...] = ("math",)
    steps: int = 40
    loss: str = "c3po"


@dataclass(frozen=True)
class Trained:
    """What an arm gave.

    Attributes:
        metrics: A row a step.
        timings: A row a step.
        accuracy: Domain -> share of right responses on the held-out problems, at the end.
    """

    metrics: list[dict[str, Any]]
    timings: list[dict[str, Any]]
    accuracy: dict[str, float]


@dataclass
class Lab:
    """Trainings of one recipe under a folder.

    Args:
        recipe: Its distillation, selection and stage 1 are those of every arm, but for what an arm changes.
        folder: Of all seeds.
        show: Told what is being trained.
    """

    recipe: Recipe
    folder: Path
    show: Callable[[str], None] = field(default=lambda text: None)

    @property
    def steps(self) -> int:
        """Iterations of one stage."""
        return self.recipe.c3po_math.steps

    def candidates(self, seed: int) -> list[dict[str, Any]]:
        """Every epoch of the seed's distillation: entropy, pass rates, response length; in order."""
        self._distil(seed)
        found = (self._run_folder(seed) / "select").glob("candidate-*.json")
        rows = [row for path in found for row in read_rows(path)]
        return sorted(rows, key=lambda row: int(row["epoch"]))

    def sft_tokens(self, seed: int, epoch: int) -> int:
        """Tokens that the distillation trained on up to the end of an epoch."""
        self._distil(seed)
        rows = read_metrics(self._run_folder(seed) / "distill" / METRICS)
        return sum(int(row["tokens_trained"]) for row in rows if row["epoch"] <= epoch + 1e-9)

    def trained(self, seed: int, arm: Arm) -> Trained:
        """Trains an arm, or reads what it gave."""
        self._distil(seed)
        if isinstance(arm.start, Arm):
            self.trained(seed, arm.start)
        self._run(seed, _arm_stage(arm), f"seed {seed}: {arm.name}")
        folder = self._run_folder(seed) / arm.name
        [accuracy] = read_rows(folder / EVALUATION)
        return Trained(read_metrics(folder / METRICS), read_metrics(folder / TIMINGS), dict(accuracy))

    def seconds(self, seeds: Iterable[int]) -> float:
        """Wall time of all training steps of these seeds so far, whichever experiment needed them."""
        files = (path for seed in seeds for path in self._run_folder(seed).glob(f"*/{TIMINGS}"))
        return sum(float(row["seconds"]) for path in files for row in read_metrics(path))

    def _distil(self, seed: int) -> None:
        for stage in stages_of(self._of(seed)):
            if stage.name in ("data", "base", "distill", "select"):
                self._run(seed, stage, f"seed {seed}: {stage.name}")

    def _run(self, seed: int, stage: Stage, what: str) -> None:
        recipe = self._of(seed)
        self.show(what)
        run = StageRun(stage.name, recipe, self._run_folder(seed), lambda done, total, note="": None)
        present = {other.name for other in stages_of(recipe)}
        run_stage(stage, run, [name for name in stage.needs if name in present or name not in ALL_STAGES])

    def _of(self, seed: int) -> Recipe:
        return self.recipe.model_copy(update={"seed": seed, "curate": None, "comparison": False})

    def _run_folder(self, seed: int) -> Path:
        return self.folder / f"seed-{seed}"


def _arm_stage(arm: Arm) -> Stage:
    """The arm as a stage: the settings of stage 1 with the arm's own, and an evaluation at the end."""

    def section(recipe: Recipe) -> RLStageConfig:
        objective = recipe.c3po_math.rl.objective.model_copy(update={"loss": arm.loss})
        rl = recipe.c3po_math.rl.model_copy(update={"objective": objective})
        changed = {"steps": arm.steps, "domains": arm.domains, "rl": rl}
        return recipe.c3po_math.model_copy(update=changed)

    def work(run: StageRun) -> None:
        start = f"distill/epoch-{arm.start}" if isinstance(arm.start, int) else f"{arm.start.name}/{CHECKPOINT}"
        reinforce(run, section(run.recipe), run.run / start, derived_seed(run.recipe.seed, "arms"))
        write_json(run.folder / EVALUATION, _accuracy(run))

    before = (arm.start.name,) if isinstance(arm.start, Arm) else ()
    return Stage(arm.name, section, ("data", "distill", *before), (CHECKPOINT, METRICS, EVALUATION), work)


def _accuracy(run: StageRun) -> dict[str, float]:
    """Pass rates on the held-out problems, two responses each."""
    tokenizer = load_tokenizer(run)
    model = load_checkpoint_model(run.folder / CHECKPOINT, run.recipe.model)
    problems = [problem for d in DOMAINS for problem in read_problems(run.of("data", f"{d}/heldout.jsonl"))]
    limit = run.recipe.c3po_math.rl.rollout.max_new_tokens
    drawn = sample(run, model, tokenizer, stream_prompts(problems, tokenizer), 2, limit)
    with Verifier() as verifier:
        return verify(*drawn, tokenizer, verifier).pass_rates()
