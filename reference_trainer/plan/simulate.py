"""Simulates the steps of C3PO and GRPO on a cluster: the same lengths for both, step times and throughput out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig
from reference_trainer.plan.cluster import Cluster
from reference_trainer.plan.lengths import Trajectory
from reference_trainer.plan.rates import extra_forwards
from reference_trainer.plan.shape import recipe_shape
from reference_trainer.plan.stages import Machine, StagePlanner, budget_units
from reference_trainer.plan.toy import with_toy_figures
from reference_trainer.recipe import Recipe, RLStageConfig

MOST_ROUNDS = 50


@dataclass(frozen=True)
class Step:
    """One simulated step.

    Attributes:
        sampled: Tokens generated.
        trained: Of them, those in the gradient.
        fill: Trained tokens as a share of all budgets; 1 without a budget.
        rollout_seconds: Of the slowest engine.
        training_seconds: Of the slowest rank.
        overhead_seconds: Fixed.
    """

    sampled: int
    trained: int
    fill: float
    rollout_seconds: float
    training_seconds: float
    overhead_seconds: float

    @property
    def seconds(self) -> float:
        """Of the step."""
        return self.rollout_seconds + self.training_seconds + self.overhead_seconds

    @property
    def throughput(self) -> float:
        """Trained tokens a second, of the whole cluster."""
        return self.trained / self.seconds


@dataclass(frozen=True)
class Run:
    """The simulated steps under one objective."""

    name: str
    meaning: str
    steps: list[Step] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Means, coefficients of variation, and the level of the last tenth as a share of the first's."""
        tenth = max(1, len(self.steps) // 10)
        figures: dict[str, Any] = {"name": self.name, "meaning": self.meaning}
        for name in ("sampled", "trained", "fill", "rollout_seconds", "training_seconds", "seconds", "throughput"):
            values = np.array([getattr(step, name) for step in self.steps], dtype=float)
            mean = float(values.mean())
            figures[name] = {
                "mean": mean,
                "cov": float(values.std() / mean) if mean else 0.0,
                "end_over_start": float(values[-tenth:].mean() / values[:tenth].mean()) if values[0] else 0.0,
            }
        return figures


@dataclass(frozen=True)
class Objective:
    """Which tokens of a step are trained on.

    Attributes:
        name: Of the run.
        meaning: In one sentence.
        settings: The objective, as the trainer reads it.
    """

    name: str
    meaning: str
    settings: ObjectiveConfig


def objectives(stage: RLStageConfig, gpus: int) -> list[Objective]:
    """GRPO, the recipe's C3PO, and C3PO that samples until the whole step's budget is full.

    Raises:
        UsageError: The stage has no token budget.
    """
    objective = stage.rl.objective
    if objective.loss != "c3po" or objective.token_budget is None:
        raise UsageError("the simulator compares C3PO with GRPO: the stage needs loss c3po and a token_budget")
    units, scope = budget_units(stage.rl, gpus)
    whole = units * objective.token_budget // stage.rl.optimizer.updates_per_rollout
    filled = objective.model_copy(
        update={"token_budget": whole, "budget_scope": "global", "under_fill": "resample", "zero_variance": "keep"}
    )
    return [
        Objective("GRPO", "every token is trained on", objective.model_copy(update={"loss": "grpo"})),
        Objective("C3PO", f"at most Phi = {objective.token_budget:,} tokens for {scope}", objective),
        Objective("C3PO, filled", f"prompts are drawn until a step has {units:,} Phi, which are trained on", filled),
    ]


def simulate(
    cluster: Cluster, stage: RLStageConfig, trajectory: Trajectory, steps: int, which: Sequence[Objective]
) -> list[Run]:
    """One run an objective, on the same lengths.

    Lengths are an input: what an objective does to the policy, and so to later lengths, is not simulated.
    """
    runs = [Run(objective.name, objective.meaning) for objective in which]
    prompts, responses = stage.rl.rollout.prompts_per_step, stage.rl.rollout.responses_per_prompt
    for step in range(steps):
        lengths = trajectory.draw(step, prompts, responses)
        seconds = cluster.sampler.seconds(lengths)
        for run, objective in zip(runs, which, strict=True):
            sampled, rollout = lengths, seconds
            if objective.settings.under_fill == "resample":
                sampled = _enough(lengths, objective.settings, trajectory, step)
                rollout = seconds if len(sampled) == prompts else cluster.sampler.seconds(sampled)
            updates = stage.rl.optimizer.updates_per_rollout
            kept, budget = kept_tokens(sampled, objective.settings, updates, cluster.gpus)
            training = sum(cluster.training_seconds(part) for part in kept)
            trained = int(sum(part.sum() for part in kept))
            fill = trained / budget if budget else 1.0
            run.steps.append(Step(int(sampled.sum()), trained, fill, rollout, training, cluster.overhead_seconds))
    return runs


def kept_tokens(
    lengths: NDArray[np.int64], objective: ObjectiveConfig, updates: int, ranks: int
) -> tuple[list[NDArray[np.int64]], int]:
    """Tokens of each response that each update trains on, by the trainer's own rule, and the budget of all updates."""
    import torch

    from reference_trainer.objective import select_tokens

    kept, budget, size = [], 0, lengths.shape[1]
    for part in np.array_split(np.arange(len(lengths)), updates):
        group = torch.arange(len(part)).repeat_interleave(size)
        units = {
            "global": torch.zeros_like(group),
            "rank": group * ranks // len(part),
            "mini_batch": group // objective.mini_batch_prompts,
        }[objective.budget_scope]
        phi = None if objective.loss == "grpo" else objective.token_budget
        chosen = torch.from_numpy(lengths[part].reshape(-1))
        selection = select_tokens(chosen, phi, units=units, last_response=objective.last_response)
        kept.append(selection.kept.numpy())
        budget += 0 if phi is None else selection.budget
    return kept, budget


def _enough(
    lengths: NDArray[np.int64], objective: ObjectiveConfig, trajectory: Trajectory, step: int
) -> NDArray[np.int64]:
    """As many prompts as fill the budget: fewer than were drawn, or further ones of the same step."""
    assert objective.token_budget is not None
    prompts, responses = lengths.shape
    drawn, again = lengths, 0
    while drawn.sum() < objective.token_budget and again < MOST_ROUNDS:
        again += 1
        drawn = np.concatenate([drawn, trajectory.draw(step, prompts, responses, again)])
    tokens = drawn.sum(1).cumsum()
    return drawn[: int(np.searchsorted(tokens, objective.token_budget)) + 1]


def make_cluster(recipe: Recipe, stage: RLStageConfig, name: str, machine: Machine) -> Cluster:
    """The cluster of a recipe's plan; a measured sampling rate is that of engines full of responses of mean length.

    Raises:
        UsageError: What the plan of a recipe raises.
    """
    recipe = with_toy_figures(recipe)
    shape = recipe_shape(recipe)
    planner = StagePlanner(recipe, shape, machine)
    planned = planner.reinforcement(name, stage)
    assert planned.rollout is not None
    held = max(stage.rl.optimizer.micro_batch_tokens, int(recipe.plan.prompt_tokens) + stage.rl.rollout.max_new_tokens)
    return Cluster(
        machine.gpus,
        planner.sampler(planned.rollout, planned.sequences, planned.generated / planned.sequences),
        planner.training(held),
        extra_forwards(stage.rl.objective, stage.rl.optimizer),
        recipe.plan.overhead_seconds,
    )


def assumptions(cluster: Cluster, lengths: str) -> list[str]:
    """What a simulation rests on, one sentence each."""
    sampler, training = cluster.sampler, cluster.training
    speed = (
        f"{training.rate:,.0f} tokens/s, as measured"
        if training.rate is not None
        else f"{training.flops / 1e12:,.0f} TFLOP/s reached, {3 + cluster.forwards} forwards' worth of operations, and "
        "ZeRO's traffic where it takes longer"
    )
    return [
        f"lengths are an input and the same for all: {lengths}; what an objective does to them is not simulated",
        f"{sampler.engines} engines of at most {sampler.rows} responses at a time, each bound by reading weights and "
        f"cache at {sampler.decoding.bytes_per_second / 1e9:,.0f} GB/s; a step waits for the slowest; prefill and "
        "preemption cost nothing",
        f"{cluster.gpus} ranks, each {speed}; a step waits for the slowest; sequences are dealt out in turn, as the "
        "trainer does",
        f"{cluster.overhead_seconds:g} s of each step for weights to the sampler, verification and AdamW; nothing of a "
        "step overlaps with another",
        "throughput is trained tokens a second of the whole cluster",
    ]


def to_json(runs: Sequence[Run], told: Sequence[str], inputs: dict[str, Any]) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "inputs": inputs,
        "assumptions": list(told),
        "summary": [run.summary() for run in runs],
        "steps": {run.name: [asdict(step) | {"throughput": step.throughput} for step in run.steps] for run in runs},
    }
