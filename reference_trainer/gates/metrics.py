"""Checks of a stage's metrics.jsonl: complete, finite, and within what the figures can be."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from reference_trainer.config import OptimizerConfig, RLConfig
from reference_trainer.gates.record import Check
from reference_trainer.metrics import read_rows
from reference_trainer.recipe import SFTConfig
from reference_trainer.stages import StageRun

Rows = Sequence[dict[str, Any]]
METRICS = "metrics.jsonl"
_SUPERVISED = ("loss", "entropy", "gradient_norm", "tokens_trained", "learning_rate", "epoch")
_REINFORCED = (
    "reward", "loss", "policy_loss", "entropy", "gradient_norm", "tokens_trained", "tokens_generated",
    "learning_rate", "response_length", "budget_fill",
)  # fmt: skip


def check_supervised_metrics(run: StageRun, config: SFTConfig, vocabulary: int, steps: int | None) -> Iterator[Check]:
    """Those of a supervised stage; ``steps`` None takes the number of rows."""
    rows = read_rows(run.folder / METRICS)
    steps = len(rows) if steps is None else steps
    yield from _complete(rows, steps, _SUPERVISED)
    per_epoch, left = divmod(steps, config.epochs)
    epochs = [row.get("epoch") for row in rows]
    uneven = [
        row["step"]
        for row, epoch in zip(rows, epochs, strict=True)
        if not _near(epoch, row["step"] / per_epoch if per_epoch else 0)
    ]
    whole = steps > 0 and left == 0 and not uneven
    yield Check(
        "metrics.epochs", whole, steps, f"{config.epochs} epochs of the same number of steps", _first(uneven) or ""
    )
    entropies = {int(e): row["entropy"] for row in rows if (e := row.get("epoch")) and float(e).is_integer()}
    text = ", ".join(f"{epoch}: {value:.3f}" for epoch, value in entropies.items() if value is not None)
    recorded = len(entropies) == config.epochs and all(value is not None for value in entropies.values())
    yield Check("metrics.epoch_entropy", recorded, text, f"an entropy at the end of each of {config.epochs} epochs")
    warmup = math.ceil(steps * config.warmup_share)
    schedule = config.optimizer.model_copy(
        update={"schedule": config.schedule, "warmup_steps": warmup, "total_steps": max(steps, 1)}
    )
    yield from _common(rows, schedule, 1, vocabulary)


def check_rl_metrics(run: StageRun, steps: int, rl: RLConfig, vocabulary: int) -> Iterator[Check]:
    """Those of a stage of reinforcement learning."""
    rows = read_rows(run.folder / METRICS)
    yield from _complete(rows, steps, _REINFORCED)
    yield from _common(rows, rl.optimizer, rl.optimizer.updates_per_rollout, vocabulary)
    yield _outside(rows, "reward", 0.0, 1.0)
    objective, responses = rl.objective, rl.rollout.prompts_per_step * rl.rollout.responses_per_prompt
    if objective.loss == "c3po" and objective.token_budget and _plain_budget(rl):
        phi = objective.token_budget
        wrong = [row["step"] for row in rows if row.get("tokens_trained") != min(phi, row.get("tokens_generated") or 0)]
        yield Check(
            "metrics.token_budget", not wrong, len(wrong),
            f"0 steps whose tokens_trained is not min({phi}, tokens_generated)", _first(wrong),
        )  # fmt: skip
    wrong = [
        row["step"]
        for row in rows
        if not _near((row.get("response_length") or 0) * responses, row.get("tokens_generated"))
    ]
    resampled = objective.under_fill == "resample"
    if not resampled:
        yield Check(
            "metrics.tokens_generated",
            not wrong,
            len(wrong),
            "0 steps whose tokens are not responses x mean length",
            _first(wrong),
        )


def _plain_budget(rl: RLConfig) -> bool:
    objective = rl.objective
    return (
        objective.budget_scope == "global"
        and objective.last_response == "truncate"
        and objective.zero_variance == "keep"
        and rl.optimizer.updates_per_rollout == 1
    )


def _complete(rows: Rows, steps: int, fields: Sequence[str]) -> Iterator[Check]:
    found = [row.get("step") for row in rows]
    missing = [step for step in range(1, steps + 1) if step not in found]
    ok = found == list(range(1, steps + 1)) and steps > 0
    yield Check("metrics.steps", ok, len(found), f"steps 1 to {max(steps, 1)}, once each and in order", _first(missing))
    gone = sorted({name for row in rows for name in fields if not isinstance(row.get(name), (int, float))})
    yield Check("metrics.finite", not gone, ", ".join(gone) or "none", "no figure that is missing or was not finite")


def _common(rows: Rows, settings: OptimizerConfig, updates: int, vocabulary: int) -> Iterator[Check]:
    yield _outside(rows, "entropy", 0.0, math.log(vocabulary))
    wrong = [
        row["step"] for row in rows if not _near(row.get("learning_rate"), _mean_rate(row["step"], settings, updates))
    ]
    yield Check("metrics.learning_rate", not wrong, len(wrong), "0 steps off the recipe's schedule", _first(wrong))


def _outside(rows: Rows, name: str, low: float, high: float) -> Check:
    values = [row.get(name) for row in rows]
    wrong = [
        row["step"]
        for row, value in zip(rows, values, strict=True)
        if not isinstance(value, (int, float)) or not low - 1e-6 <= value <= high + 1e-6
    ]
    return Check(
        f"metrics.{name}", not wrong, len(wrong), f"0 steps with {name} outside [{low:g}, {high:.4g}]", _first(wrong)
    )


def _mean_rate(step: int, settings: OptimizerConfig, updates: int) -> float:
    rates = [_rate((step - 1) * updates + number, settings) for number in range(updates)]
    return sum(rates) / updates


def _rate(update: int, settings: OptimizerConfig) -> float:
    """The rate of update 0, 1, ...: linear warm-up to the peak, then constant, half a cosine, or a straight line."""
    peak, warmup, total = settings.learning_rate, settings.warmup_steps, settings.total_steps
    if update < warmup:
        return peak / warmup * (update + 1)
    if settings.schedule == "constant" or total is None:
        return peak
    share = min(1.0, (update - warmup) / max(1, total - warmup))
    left = 0.5 + 0.5 * math.cos(math.pi * share) if settings.schedule == "cosine" else 1.0 - share
    return peak * settings.min_ratio + peak * (1.0 - settings.min_ratio) * left


def _near(value: Any, expected: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and isinstance(expected, (int, float))
        and math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-12)
    )


def _first(steps: Sequence[int]) -> str:
    return f"first at step {steps[0]} of {METRICS}" if steps else ""
