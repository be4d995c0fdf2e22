"""What each stage of a recipe costs: steps, epochs, tokens, seconds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import UsageError
from reference_trainer.config import RLConfig
from reference_trainer.plan.cluster import Sampler
from reference_trainer.plan.lengths import Lognormal, Trajectory
from reference_trainer.plan.memory import Memory, RolloutMemory, rollout_memory, training_memory
from reference_trainer.plan.rates import Training, extra_forwards, make_decoding, make_links
from reference_trainer.plan.shape import Shape
from reference_trainer.recipe import Recipe, RLStageConfig, SFTConfig

_DRAWS = 4


@dataclass(frozen=True)
class StagePlan:
    """One stage.

    Attributes:
        name: Section of the recipe.
        steps: Updates of a supervised stage, iterations of reinforcement learning, 0 where only responses are drawn.
        epochs: Passes over its problems or demonstrations; None: not known.
        sequences: Sequences of a step.
        generated: Tokens that a step samples, or that the stage samples where it has no step.
        trained: Response tokens of a step that enter the gradient.
        budget: Phi; None: no budget.
        budgets: How many Phi there are in a step.
        scope: What one Phi covers, in words.
        rollout_seconds: Sampling of a step, or of the stage where it has no step.
        training_seconds: Of a step.
        overhead_seconds: Of a step.
        memory: While training; None: nothing is trained.
        rollout: While sampling; None: nothing is sampled.
    """

    name: str
    steps: int
    epochs: float | None
    sequences: int
    generated: float
    trained: float
    budget: int | None
    budgets: int
    scope: str
    rollout_seconds: float
    training_seconds: float
    overhead_seconds: float
    memory: Memory | None = None
    rollout: RolloutMemory | None = None

    @property
    def step_seconds(self) -> float:
        """Of one step."""
        return self.rollout_seconds + self.training_seconds + self.overhead_seconds

    @property
    def hours(self) -> float:
        """Of the whole stage."""
        return self.step_seconds * max(1, self.steps) / 3600


@dataclass(frozen=True)
class Machine:
    """What a plan is made for.

    Attributes:
        gpus: How many.
        sampling_rate: Measured tokens a second of a GPU; None: from the memory bandwidth.
        training_rate: Measured trained tokens a second of a GPU; None: from operations.
        mfu: Share of the peak that training reaches.
    """

    gpus: int
    sampling_rate: float | None = None
    training_rate: float | None = None
    mfu: float = 0.2


def plan_stages(recipe: Recipe, shape: Shape, machine: Machine) -> list[StagePlan]:
    """All stages that the recipe has and that a plan can count, in their order.

    Raises:
        UsageError: A figure that a stage needs is not in the recipe's ``plan`` section, or the GPUs do not make whole
            engines.
    """
    return list(StagePlanner(recipe, shape, machine).stages())


class StagePlanner:
    """Counts the stages of one recipe on one machine; arguments as in ``plan_stages``."""

    def __init__(self, recipe: Recipe, shape: Shape, machine: Machine):
        self.recipe, self.shape, self.machine = recipe, shape, machine
        self.given, self.gpu = recipe.plan, recipe.plan.gpu
        self.links = make_links(shape, recipe.engine, self.gpu, machine.gpus)
        split = recipe.rollout_engine.tensor_parallel
        if machine.gpus % split:
            raise UsageError(f"{machine.gpus} GPUs do not make whole engines of tensor_parallel {split}")
        self.engines = machine.gpus // split

    def stages(self) -> Iterator[StagePlan]:
        """All of them, in their order."""
        recipe, given = self.recipe, self.given
        if recipe.base is not None:
            yield self._sft("base", recipe.base, recipe.base.documents)
        yield self._sft("distill", recipe.distill, given.demonstrations)
        math_ = recipe.c3po_math
        candidates = recipe.select.prompts * len({*math_.domains, *recipe.c3po_code_science.domains})
        yield self._sampling("select", candidates * recipe.select.samples * recipe.distill.epochs)
        if recipe.curate is not None:
            yield self._sampling("curate", sum(given.problems.values()) * recipe.curate.samples)
        yield self.reinforcement("c3po_math", math_)
        yield self.reinforcement("c3po_code_science", recipe.c3po_code_science)
        if recipe.general is not None:
            yield self._sft("general", recipe.general, given.general_demonstrations)

    def _sft(self, name: str, stage: SFTConfig, rows: int | None) -> StagePlan:
        mean = self.given.demonstration_tokens
        if rows is None or mean is None:
            field = "demonstrations" if name == "distill" else "general_demonstrations"
            raise UsageError(
                f"a plan of {name} needs plan.{field} and plan.demonstration_tokens: add them to the recipe, or "
                f"--set plan.{field}=... --set plan.demonstration_tokens=..."
            )
        per_rank = stage.batch_sequences / self.machine.gpus
        slowest = math.ceil(per_rank)
        held = max(stage.optimizer.micro_batch_tokens, stage.max_tokens)
        forwards = extra_forwards(stage.objective, stage.optimizer, slowest * mean / held)
        return StagePlan(
            name,
            steps=math.ceil(rows / stage.batch_sequences) * stage.epochs,
            epochs=stage.epochs,
            sequences=stage.batch_sequences,
            generated=0,
            trained=stage.batch_sequences * mean,
            budget=None,
            budgets=0,
            scope="all tokens",
            rollout_seconds=0,
            training_seconds=self.training(held).seconds(slowest * mean, slowest * mean**2, forwards),
            overhead_seconds=0,
            memory=self._memory(held, reference=False),
        )

    def _sampling(self, name: str, responses: int) -> StagePlan:
        mean = self._mean("c3po_math")
        longest = self.recipe.select.max_new_tokens
        rollout = self._rollout(self._memory(1, reference=False), mean, longest)
        seconds = self._even_seconds(responses, mean, rollout)
        return StagePlan(name, 0, None, responses, responses * mean, 0, None, 0, "", seconds, 0, 0, None, rollout)

    def reinforcement(self, name: str, stage: RLStageConfig) -> StagePlan:
        """A stage of reinforcement learning."""
        settings, mean, prompt = stage.rl.rollout, self._mean(name), self.given.prompt_tokens
        objective, optimizer = stage.rl.objective, stage.rl.optimizer
        responses = settings.prompts_per_step * settings.responses_per_prompt
        generated = responses * mean
        budget = None if objective.loss == "grpo" else objective.token_budget
        budgets, scope = budget_units(stage.rl, self.machine.gpus)
        trained = generated if budget is None else min(generated, float(budget * budgets))
        problems = sum(self.given.problems.get(domain, 0) for domain in stage.domains)
        longest = int(prompt) + settings.max_new_tokens
        held = max(optimizer.micro_batch_tokens, longest)
        share = math.ceil(responses / self.machine.gpus) * trained / generated
        tokens = share * (mean + prompt)
        forwards = extra_forwards(objective, optimizer, tokens / held)
        memory = self._memory(held, reference=objective.kl_coefficient > 0)
        rollout = self._rollout(memory, mean, longest)
        return StagePlan(
            name,
            steps=stage.steps,
            epochs=stage.steps * settings.prompts_per_step / problems if problems else None,
            sequences=responses,
            generated=generated,
            trained=trained,
            budget=budget,
            budgets=budgets if budget is not None else 0,
            scope=scope if budget is not None else "all tokens",
            rollout_seconds=self._step_seconds(stage, mean, rollout),
            training_seconds=self.training(held).seconds(tokens, tokens * (mean + prompt), forwards),
            overhead_seconds=self.given.overhead_seconds,
            memory=memory,
            rollout=rollout,
        )

    def _mean(self, stage: str) -> float:
        mean = self.given.response_tokens.get(stage)
        if mean is None:
            raise UsageError(
                f"a plan needs the mean response length of {stage}: --set plan.response_tokens.{stage}=TOKENS, or add "
                "it to the recipe"
            )
        return mean

    def _memory(self, tokens: int, *, reference: bool) -> Memory:
        return training_memory(self.shape, self.recipe.engine, self.gpu, self.machine.gpus, tokens, reference)

    def _rollout(self, memory: Memory, mean: float, longest: int) -> RolloutMemory:
        cached = self.given.prompt_tokens + mean / 2
        return rollout_memory(memory, self.shape, self.recipe.rollout_engine, self.gpu, cached, longest)

    def sampler(self, memory: RolloutMemory, responses: int, mean: float) -> Sampler:
        """All engines; a measured rate is that of engines full of responses of mean length."""
        prompt, rollout = self.given.prompt_tokens, self.recipe.rollout_engine
        rows = max(1, memory.concurrent)
        width = 4 if rollout.dtype == "float32" else 2
        decoding = make_decoding(self.shape, self.gpu, self.given.decode_efficiency, rollout.tensor_parallel, width)
        if self.machine.sampling_rate is not None:
            running = min(rows, math.ceil(responses / self.engines))
            given = self.machine.sampling_rate * rollout.tensor_parallel
            decoding = decoding.scaled(given / decoding.rate(running, prompt + mean / 2))
        return Sampler(self.engines, rows, decoding, int(prompt))

    def _even_seconds(self, responses: int, mean: float, memory: RolloutMemory) -> float:
        """Of sampling where the engines are full to the end: tokens over rate."""
        per_engine = math.ceil(responses / self.engines)
        sampler = self.sampler(memory, responses, mean)
        rows = min(sampler.rows, per_engine)
        return per_engine * mean / sampler.decoding.rate(rows, self.given.prompt_tokens + mean / 2)

    def _step_seconds(self, stage: RLStageConfig, mean: float, memory: RolloutMemory) -> float:
        """Of sampling a step, to the end of its longest response: the mean of a few simulated ones."""
        settings = stage.rl.rollout
        prompts, responses = settings.prompts_per_step, settings.responses_per_prompt
        law = Lognormal(mean, self.given.response_sigma, settings.max_new_tokens)
        lengths = Trajectory(law, _DRAWS, seed=0)
        sampler = self.sampler(memory, prompts * responses, mean)
        return sum(sampler.seconds(lengths.draw(step, prompts, responses)) for step in range(_DRAWS)) / _DRAWS

    def training(self, pass_tokens: int) -> Training:
        """One GPU that trains in passes of this many tokens."""
        flops = self.gpu.tflops * 1e12 * self.machine.mfu
        return Training(self.shape, flops, self.machine.training_rate, self.links, pass_tokens)


def budget_units(rl: RLConfig, gpus: int) -> tuple[int, str]:
    """How many Phi a step has, and what one covers."""
    objective, updates, prompts = rl.objective, rl.optimizer.updates_per_rollout, rl.rollout.prompts_per_step
    if objective.budget_scope == "rank":
        return updates * min(gpus, prompts), "each GPU's share of an optimiser step"
    if objective.budget_scope == "mini_batch":
        size = objective.mini_batch_prompts
        each = prompts // updates
        return updates * math.ceil(each / size), f"each {size} prompts"
    return updates, "an optimiser step"
