"""Named switches of the objective and of the update: every question that the paper leaves open is a field here.

Field names and defaults follow the specification of the trainer; "Ring-lite" below is arXiv 2506.14731.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UsageError, nearest

AdvantageStd = Literal["unbiased", "population", "unbiased_epsilon"]
BudgetScope = Literal["global", "rank", "mini_batch"]
FillOrder = Literal["batch", "shuffled_groups", "shuffled_responses"]
LastResponse = Literal["truncate", "keep", "drop"]
UnderFill = Literal["divide_phi", "renormalise", "resample", "error"]
ZeroVariance = Literal["keep", "drop"]
KLEstimator = Literal["k1", "k2", "k3"]
EntropySign = Literal["bonus", "paper"]
BalanceForm = Literal["switch", "literal"]
ExpertLoad = Literal["fraction", "raw_counts"]


class Switches(BaseModel):
    """A frozen table of settings that refuses unknown keys with the nearest known name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, values: Mapping[str, Any], place: str) -> Self:
        """Validates ``values``.

        Args:
            values: Setting names to values, as read from a recipe.
            place: Where they stand (file and section), for the error message.

        Raises:
            UsageError: An unknown key, or a value outside what the setting accepts.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                known = cls._known(first["loc"][:-1])
                hint = nearest(str(first["loc"][-1]), known) or f"; known settings: {', '.join(sorted(known))}"
                raise UsageError(f"{place}: unknown setting '{name}'{hint}") from None
            if first["type"] == "value_error":
                raise UsageError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
            raise UsageError(f"{place}: {name} = {first['input']!r}: {first['msg']}") from None

    def refuse_other(self, other: Self, place: str) -> None:
        """Raises UsageError, naming the first setting in which ``other`` (that of ``place``) differs."""
        for name in type(self).model_fields:
            here, there = getattr(self, name), getattr(other, name)
            if isinstance(here, Switches):
                here.refuse_other(there, f"{place}, {name}")
            elif here != there:
                raise UsageError(f"{place} was made with {name} {there!r}, not {here!r}: resume with the same settings")

    @classmethod
    def _known(cls, path: tuple[int | str, ...]) -> list[str]:
        """Names of the settings at ``path`` below this table."""
        table: type[BaseModel] = cls
        for part in path:
            inner = table.model_fields[str(part)].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                table = inner
        return list(table.model_fields)


class ObjectiveConfig(Switches):
    """What is minimised (Ring-lite, Eq. 1 to 6).

    Attributes:
        loss: ``c3po`` (Eq. 2), ``grpo`` (Eq. 1, no budget) or ``sft`` (mean negative log-likelihood).
        token_budget: Phi in generated tokens; None means all tokens of the scope, which makes C3PO the token mean.
        budget_scope: What one Phi covers: all responses of an optimiser step (``global``), each rank's share of them
            (``rank``), or each ``mini_batch_prompts`` consecutive prompts (``mini_batch``).
        mini_batch_prompts: Prompts that share one Phi under ``budget_scope: mini_batch``.
        fill_order: Order of the greedy pass: ``batch`` is the order of the seeded prompt shuffle.
        last_response: The response that crosses Phi is cut at the token, kept whole, or dropped.
        under_fill: With fewer than Phi tokens: divide by Phi all the same, divide by the tokens there are, sample more
            prompts, or stop with an error.
        resample_rounds: Most extra draws of ``prompts_per_step`` prompts in one iteration under ``resample``.
        zero_variance: Keep groups whose rewards are all equal, or drop them before the budget is filled.
        advantage_std: ``unbiased`` (K - 1), ``population`` (K), or ``unbiased_epsilon`` (TRL's std + 1e-4).
        clip_low: Ratios are clipped from below at 1 - ``clip_low``.
        clip_high: Ratios are clipped from above at 1 + ``clip_high``.
        kl_coefficient: beta; 0 keeps no reference policy.
        kl_estimator: Per-token estimator of KL(pi || pi_ref).
        reference_policy: ``stage_start`` refreshes the reference at each stage start, ``initial`` never does.
        entropy_coefficient: a_entropy of Eq. 6.
        entropy_sign: ``bonus`` subtracts a H from the loss, ``paper`` adds it as printed, which lowers the entropy.
        balance_coefficient: a_balance of Eq. 6.
        balance_form: ``switch`` is N_e sum P F (1 at uniform), ``literal`` is 1/N_e sum P F N_e as printed.
        expert_load: F_i as the fraction of assignments c_i / (k M), or as ``raw_counts`` c_i.
        z_coefficient: a_z of Eq. 6.
        router_tokens: Tokens that Eq. 5 averages over: all that were forwarded, or those of responses only.
        importance_sampling: ``truncated`` multiplies the surrogate by min(pi_old / pi_sampler, cap).
        importance_cap: The cap of the truncated weights.
    """

    loss: Literal["c3po", "grpo", "sft"] = "c3po"
    token_budget: int | None = Field(default=409_600, ge=1)
    budget_scope: BudgetScope = "global"
    mini_batch_prompts: int = Field(default=2, ge=1)
    fill_order: FillOrder = "batch"
    last_response: LastResponse = "truncate"
    under_fill: UnderFill = "divide_phi"
    resample_rounds: int = Field(default=10, ge=1)
    zero_variance: ZeroVariance = "keep"
    advantage_std: AdvantageStd = "unbiased"
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    clip_high: float = Field(default=0.2, gt=0)
    kl_coefficient: float = Field(default=1e-3, ge=0)
    kl_estimator: KLEstimator = "k3"
    reference_policy: Literal["stage_start", "initial"] = "stage_start"
    entropy_coefficient: float = Field(default=5e-4, ge=0)
    entropy_sign: EntropySign = "bonus"
    balance_coefficient: float = Field(default=1e-5, ge=0)
    balance_form: BalanceForm = "switch"
    expert_load: ExpertLoad = "fraction"
    z_coefficient: float = Field(default=1e-7, ge=0)
    router_tokens: Literal["all", "response"] = "all"
    importance_sampling: Literal["none", "truncated"] = "none"
    importance_cap: float = Field(default=2.0, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.under_fill == "resample" and self.budget_scope != "global":
            raise ValueError("under_fill 'resample' needs budget_scope 'global'")
        if self.under_fill == "resample" and self.token_budget is None:
            raise ValueError("under_fill 'resample' needs a token_budget")
        if self.loss == "sft" and (self.kl_coefficient or self.entropy_coefficient):
            raise ValueError(
                "loss 'sft' has no KL and no entropy term: set kl_coefficient and entropy_coefficient to 0"
            )
        return self


class OptimizerConfig(Switches):
    """How one update changes the weights.

    Attributes:
        learning_rate: Peak learning rate.
        schedule: After the warm-up: constant, or a cosine or linear fall to ``min_ratio`` of the peak.
        warmup_steps: Updates of linear warm-up.
        total_steps: Updates until the schedule ends; needed by ``cosine`` and ``linear``.
        min_ratio: Learning rate at the end of the schedule as a share of the peak.
        betas: AdamW's decay rates.
        epsilon: AdamW's epsilon.
        weight_decay: Decoupled decay of matrices and expert tensors; vectors (norms, biases) are never decayed.
        max_grad_norm: Gradients are scaled to at most this global L2 norm; None never clips.
        updates_per_rollout: Optimiser steps that share one rollout; its prompts are split evenly among them.
        micro_batch_tokens: Most tokens, padding included, whose activations are held at a time; changes memory and
            speed and nothing else. A longer sequence has a pass of its own.
        block_tokens: Most tokens, padding included, in one forward; sequences of a block are of like length, so that
            little is padding. None is 2,048 on a CPU and ``micro_batch_tokens`` elsewhere.
        autocast: ``bfloat16`` computes matrix products in it; weights and reductions stay in float32.
    """

    learning_rate: float = Field(default=3e-6, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup_steps: int = Field(default=0, ge=0)
    total_steps: int | None = Field(default=None, ge=1)
    min_ratio: float = Field(default=0.0, ge=0, le=1)
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    updates_per_rollout: int = Field(default=1, ge=1)
    micro_batch_tokens: int = Field(default=16_384, ge=1)
    block_tokens: int | None = Field(default=None, ge=1)
    autocast: Literal["none", "bfloat16"] = "none"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schedule != "constant" and self.total_steps is None:
            raise ValueError(f"schedule '{self.schedule}' needs total_steps")
        return self


class RolloutConfig(Switches):
    """What is sampled in one iteration.

    Attributes:
        prompts_per_step: L of the paper.
        responses_per_prompt: K of the paper.
        max_new_tokens: Longest response, end token included.
        temperature: Sampling temperature; the trainer computes log-probabilities and entropies at the same one.
    """

    prompts_per_step: int = Field(default=512, ge=1)
    responses_per_prompt: int = Field(default=16, ge=1)
    max_new_tokens: int = Field(default=24_576, ge=1)
    temperature: float = Field(default=1.0, gt=0)


class RLConfig(Switches):
    """One reinforcement-learning stage.

    Attributes:
        seed: Of the prompt shuffle, the responses and the fill order.
        rollout: What is sampled in an iteration.
        objective: What is minimised.
        optimizer: How the weights move.
    """

    seed: int = Field(default=0, ge=0)
    rollout: RolloutConfig = RolloutConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        updates, prompts = self.optimizer.updates_per_rollout, self.rollout.prompts_per_step
        if updates > prompts:
            raise ValueError(f"updates_per_rollout ({updates}) exceeds prompts_per_step ({prompts}): lower it")
        if self.objective.loss == "sft":
            raise ValueError("objective.loss 'sft' has no rollouts: choose c3po or grpo")
        return self
