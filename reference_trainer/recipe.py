"""A recipe: everything that one run of the pipeline depends on, in one YAML file, validated before anything starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from harness.errors import UsageError, nearest
from reference_trainer.config import ObjectiveConfig, OptimizerConfig, RLConfig, Switches
from reference_trainer.engine.settings import EngineConfig
from reference_trainer.plan.settings import PlanConfig
from reference_trainer.recipe_file import read_settings
from reference_trainer.rollout.settings import RolloutEngineConfig
from reference_trainer.select import SelectionConfig
from reference_trainer.tasks import EQUAL_SHARES, HASTY_SHARE, Domain

RECIPES = Path(__file__).parent / "recipes"
SFT_OBJECTIVE = ObjectiveConfig(loss="sft", token_budget=None, kl_coefficient=0, entropy_coefficient=0)


class ModelConfig(Switches):
    """The base model.

    Attributes:
        path: Hub name or folder of a checkpoint to start from.
        revision: Commit or tag of a hub model.
        config: Keys of a BailingMoE ``config.json``, for fresh weights; the vocabulary is the tokenizer's.
        attention: Attention implementation of transformers.
        experts: Experts implementation of transformers; eager is the fastest on a CPU.
    """

    path: str | None = None
    revision: str | None = None
    config: dict[str, Any] | None = None
    attention: Literal["eager", "sdpa", "flash_attention_2"] = "sdpa"
    experts: Literal["eager", "grouped_mm", "batched_mm"] = "grouped_mm"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.config is None):
            raise ValueError("model needs either path (a checkpoint) or config (fresh weights)")
        return self


class ToyData(Switches):
    """The toy domains as a data source; held-out problems are those of the ``toy_*`` benchmarks, the same for all.

    Attributes:
        train: Training problems a domain, for reinforcement learning.
        validation: Validation problems a domain.
        demonstrations: Responses of the teacher, over all domains.
        hasty_share: Share of the teacher's blind guesses.
        shares: Domain -> its share of documents and demonstrations.
        instructions: Examples of the general stage that need no reasoning.
    """

    train: int = Field(default=1000, ge=1)
    validation: int = Field(default=100, ge=1)
    demonstrations: int = Field(default=40_000, ge=1)
    hasty_share: float = Field(default=HASTY_SHARE, ge=0, le=1)
    shares: dict[Domain, float] = Field(default_factory=lambda: dict(EQUAL_SHARES))
    instructions: int = Field(default=3000, ge=0)


class HubData(Switches):
    """Rows from the dataset hub, or from files of the same columns.

    Attributes:
        sft: Data set of demonstrations: hub name, folder or file.
        rl: Data set of problems with answers or tests.
        general: Data set of the general stage.
        revision: Commit of each hub data set, by its name here.
        columns: Our field -> the data set's column, where they differ.
    """

    sft: str
    rl: str
    general: str | None = None
    revision: dict[str, str] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)


class SFTConfig(Switches):
    """One supervised stage.

    Attributes:
        epochs: Passes over the data; each ends with a checkpoint.
        batch_sequences: Demonstrations of one update.
        max_tokens: Longest sequence, prompt included; a longer one is left out and counted.
        schedule: Of the learning rate, after the warm-up and to the last update.
        warmup_share: Share of all updates that warm up.
        objective: The ``sft`` loss with its router terms.
        optimizer: Its schedule, warm-up and total steps follow from the fields above and the data.
        checkpoint_every: Updates between checkpoints to resume from.
    """

    epochs: int = Field(default=3, ge=1)
    batch_sequences: int = Field(default=256, ge=1)
    max_tokens: int = Field(default=32_768, ge=2)
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    warmup_share: float = Field(default=0.01, ge=0, lt=1)
    objective: ObjectiveConfig = SFT_OBJECTIVE
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=3e-4, weight_decay=0.1)
    checkpoint_every: int = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _sft(self) -> Self:
        if self.objective.loss != "sft":
            raise ValueError("objective.loss of a supervised stage is 'sft'")
        return self


class BaseConfig(SFTConfig):
    """Pre-training of the toy: worked solutions without an answer; the solution's tokens are learnt.

    Attributes:
        documents: How many.
    """

    documents: int = Field(default=20_000, ge=1)


class DistillConfig(SFTConfig):
    """Distillation.

    Attributes:
        teacher: ``data``: the demonstrations that are there (for the toy: its programmatic teacher).
            ``rejection``: responses of a teacher model in ``generations``, kept where the verifier accepts them.
        generations: Run folder or file of the teacher's responses (``ringlite score`` writes one with any backend).
        keep_per_problem: Most accepted responses of one problem.
    """

    teacher: Literal["data", "rejection"] = "data"
    generations: Path | None = None
    keep_per_problem: int = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _teacher(self) -> Self:
        if (self.teacher == "rejection") != (self.generations is not None):
            raise ValueError("teacher 'rejection' needs generations, and 'data' has none")
        return self


class SelectConfig(SelectionConfig):
    """Selection among the epochs of the distillation.

    Attributes:
        prompts: Prompts a domain that entropy and pass rate are measured on.
        samples: Responses a prompt.
        by: ``entropy`` is the paper's rule; ``validation`` takes the best pass rate of all (the baseline of Table 2).
        max_new_tokens: Longest response.
    """

    prompts: int = Field(default=64, ge=1)
    samples: int = Field(default=4, ge=1)
    by: Literal["entropy", "validation"] = "entropy"
    max_new_tokens: int = Field(default=24_576, ge=1)


class CurateConfig(Switches):
    """Problems for reinforcement learning, by the selected model's pass rates.

    Attributes:
        samples: Responses a problem.
        max_new_tokens: Longest response.
    """

    samples: int = Field(default=4, ge=1)
    max_new_tokens: int = Field(default=24_576, ge=1)


class RLStageConfig(Switches):
    """One stage of reinforcement learning.

    Attributes:
        steps: Iterations.
        domains: Whose problems are drawn.
        rl: Rollout, objective and optimiser; its seed is derived from the recipe's.
        checkpoint_every: Iterations between checkpoints to resume from.
    """

    steps: int = Field(ge=1)
    domains: tuple[Domain, ...]
    rl: RLConfig = RLConfig()
    checkpoint_every: int = Field(default=10, ge=1)


class GeneralConfig(SFTConfig):
    """General supervised fine-tuning that keeps reasoning.

    Attributes:
        reasoning_share: Share of the data that are the model's own accepted responses (rejection sampling).
        samples: Responses a problem of which the accepted ones are kept.
        max_new_tokens: Longest of them.
    """

    reasoning_share: float = Field(default=0.5, ge=0, lt=1)
    samples: int = Field(default=2, ge=1)
    max_new_tokens: int = Field(default=32_768, ge=1)


class GateConfig(Switches):
    """How gates judge.

    Attributes:
        n: Samples a held-out problem.
        limit: Held-out problems a domain; None: all.
        max_tokens: Longest response.
        margin: Points below the baseline that are no regression.
        alpha: A drop counts when a one-sided test rejects "at most the margin" at this level (Holm over domains).
        examples: Cases that hypothesis draws for each property.
        floors: Domain -> accuracy in percent that the end of the pipeline must reach.
        ceilings: Domain -> accuracy in percent that the distilled model must stay below, so that learning has room.
    """

    n: int = Field(default=2, ge=1)
    limit: int | None = Field(default=None, ge=1)
    max_tokens: int = Field(default=96, ge=1)
    margin: float = Field(default=5.0, ge=0)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    examples: int = Field(default=20, ge=1)
    floors: dict[str, float] = Field(default_factory=dict)
    ceilings: dict[str, float] = Field(default_factory=dict)


class Recipe(Switches):
    """The whole pipeline; a stage that is None is left out.

    Attributes:
        name: Of the recipe; run folders and baselines are called after it.
        seed: Every generator of the run is derived from it.
        threads: torch threads; bitwise repetition needs the same number.
        comparison: Also run stage 1 with GRPO from the same checkpoint, for the report.
        plan: What ``ringlite train plan`` assumes; a run does not depend on it.
    """

    name: str
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, ge=1)
    model: ModelConfig
    data: ToyData | HubData
    engine: EngineConfig = EngineConfig()
    rollout_engine: RolloutEngineConfig = RolloutEngineConfig()
    base: BaseConfig | None = None
    distill: DistillConfig = DistillConfig()
    select: SelectConfig = SelectConfig()
    curate: CurateConfig | None = None
    c3po_math: RLStageConfig
    c3po_code_science: RLStageConfig
    general: GeneralConfig | None = None
    comparison: bool = False
    gates: GateConfig = GateConfig()
    plan: PlanConfig = PlanConfig()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.base is not None and self.model.path is not None:
            raise ValueError("base trains fresh weights: leave model.path out")
        if self.base is not None and isinstance(self.data, HubData):
            raise ValueError("base pre-training is of the toy only")
        return self


def load_recipe(name: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Reads a recipe.

    Args:
        name: A shipped recipe (``toy``, ``ring_lite``) or a path to a YAML file.
        changes: Dotted setting -> value, applied before validation: ``{"c3po_math.rl.objective.loss": "grpo"}``.

    Raises:
        UsageError: No such file, no YAML mapping, an unknown setting, or a value that a setting does not take.
    """
    path = recipe_path(name)
    values = read_settings(path, recipe_path)
    for dotted, value in (changes or {}).items():
        _change(values, dotted, value)
    data = values.get("data")
    if isinstance(data, Mapping):  # a union's own message would list the settings of both kinds
        kind: type[Switches] = HubData if "sft" in data or "rl" in data else ToyData
        values["data"] = kind.read(data, f"{path}, data")
    return Recipe.read(values, str(path))


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe's name, or the path itself."""
    shipped = RECIPES / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    if Path(name).is_file():
        return Path(name)
    known = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    raise UsageError(f"no recipe '{name}'{nearest(name, known)}; shipped: {', '.join(known)}; or name a YAML file")


def parse_changes(settings: list[str]) -> dict[str, Any]:
    """``["seed=3", "c3po_math.steps=5"]`` to names and values; a value is read as YAML.

    Raises:
        UsageError: No ``=``, or no YAML behind it.
    """
    changes = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        try:
            changes[name.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            sign = ""
        if not sign or not name.strip():
            raise UsageError(f"--set {setting!r}: write setting=value, e.g. --set c3po_math.steps=20")
    return changes


def _change(values: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for part in path:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {dotted}: {part} is no table of settings")
        values = inner
    values[last] = value
