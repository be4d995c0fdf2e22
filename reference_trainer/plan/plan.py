"""``plan``: what a recipe takes on a machine, before anything runs."""

from dataclasses import asdict, dataclass
from typing import Any

from reference_trainer.plan.memory import Memory
from reference_trainer.plan.paper import Comparison, compare
from reference_trainer.plan.shape import Shape, recipe_shape
from reference_trainer.plan.stages import Machine, StagePlan, plan_stages
from reference_trainer.plan.toy import with_toy_figures
from reference_trainer.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """A whole plan.

    Attributes:
        recipe: Its name.
        machine: What it is for.
        gpu: Kind of GPU.
        shape: The model.
        stages: In their order.
        comparisons: With the paper; empty where the recipe is not its.
        assumptions: What it rests on, one sentence each.
    """

    recipe: str
    machine: Machine
    gpu: str
    shape: Shape
    stages: list[StagePlan]
    comparisons: list[Comparison]
    assumptions: list[str]

    @property
    def hours(self) -> float:
        """Of all stages."""
        return sum(stage.hours for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "recipe": self.recipe,
            "machine": asdict(self.machine) | {"gpu": self.gpu},
            "model": asdict(self.shape) | {"kv_bytes_per_token": self.shape.kv_bytes()},
            "stages": [_stage_json(stage) for stage in self.stages],
            "hours": self.hours,
            "gpu_hours": self.hours * self.machine.gpus,
            "paper": [asdict(item) | {"factor": item.factor, "agrees": item.agrees} for item in self.comparisons],
            "assumptions": self.assumptions,
        }


def cluster(
    recipe: Recipe,
    gpus: int | None = None,
    sampling_rate: float | None = None,
    training_rate: float | None = None,
    mfu: float | None = None,
) -> Machine:
    """The machine of a recipe's ``plan`` section, with what was measured or given instead."""
    given = recipe.plan
    # A share of the peak that is asked for is not overruled by a rate that the recipe states.
    stated = None if mfu is not None else given.training_rate
    return Machine(gpus or given.gpus, sampling_rate or given.sampling_rate, training_rate or stated, mfu or given.mfu)


def plan(recipe: Recipe, machine: Machine | None = None) -> Plan:
    """Plans a recipe; needs neither a GPU nor the hub.

    Args:
        recipe: Its ``plan`` section holds what a plan has to assume.
        machine: Of ``cluster``; None: the recipe's own.

    Raises:
        UsageError: A figure or the model's shape is missing.
    """
    recipe = with_toy_figures(recipe)
    machine = machine or cluster(recipe)
    shape = recipe_shape(recipe)
    stages = plan_stages(recipe, shape, machine)
    rl = recipe.c3po_math.rl
    first = next(stage for stage in stages if stage.name == "c3po_math")
    comparisons = compare(shape, first, rl, machine.gpus) if recipe.plan.compare_paper else []
    return Plan(recipe.name, machine, recipe.plan.gpu.name, shape, stages, comparisons, _assumptions(recipe, machine))


def _assumptions(recipe: Recipe, machine: Machine) -> list[str]:
    given, gpu = recipe.plan, recipe.plan.gpu
    tail = (
        f"a step waits for its longest response; lengths are lognormal, sigma {given.response_sigma:g}, of the stage's "
        "mean under its limit"
    )
    sampling = (
        f"sampling: {machine.sampling_rate:,.0f} tokens/s a GPU, as given, of an engine that is full; {tail}"
        if machine.sampling_rate is not None
        else f"sampling: bound by reading weights and cache at {given.decode_efficiency:.0%} of "
        f"{gpu.bandwidth_gb:,.0f} GB/s; {tail}"
    )
    training = (
        f"training: {machine.training_rate:,.0f} tokens/s a GPU, as given"
        if machine.training_rate is not None
        else f"training: {machine.mfu:.0%} of {gpu.tflops:,.0f} TFLOP/s; operations = (3 + extra forwards) x (2 A T + "
        "2 L h head_dim sum n^2), A parameters multiplied with, T tokens, n sequence lengths; recomputation is in the "
        "share; extra forwards: reference policy, router statistics over several passes, pi_old over several updates; "
        f"ZeRO's traffic at {gpu.node_link_gb:g} GB/s in a node of {gpu.node} and {gpu.network_gb:g} GB/s between "
        "nodes overlaps with it, and the longer of the two counts"
    )
    others = [
        f"{given.overhead_seconds:g} s of each RL step for weights to the sampler, verification and AdamW",
        "sampling and training take turns on the same GPUs; a full GPU has "
        f"{gpu.memory_gib:g} GiB, {gpu.reserve_gib:g} of them reserved",
        "budgets are full: what an under-filled Phi loses is the simulator's",
    ]
    published = [f"plan.{name} is no published figure: {why}" for name, why in given.unknown.items()]
    return [sampling, training, *others, *published]


def _stage_json(stage: StagePlan) -> dict[str, Any]:
    values = asdict(stage)
    for name in ("memory", "rollout"):
        memory: Memory | None = getattr(stage, name)
        if memory is not None:
            values[name] |= {"total": memory.total, "fits": memory.fits}
    return values | {"step_seconds": stage.step_seconds, "hours": stage.hours}
