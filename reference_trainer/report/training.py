"""The parts of the page about training: curves of supervised stages and of reinforcement learning."""

from collections.abc import Sequence

from reference_trainer.recipe import RLStageConfig
from reference_trainer.report.chart import Level, Series
from reference_trainer.report.panel import column, expert_load, grid, panel
from reference_trainer.report.run_files import StageFiles


def supervised_section(stage: StageFiles) -> str:
    """Curves of a supervised stage."""
    panels = [
        panel("Loss, nats a token", [column(stage, "policy_loss")], from_zero=False),
        panel("Entropy, nats a token", [column(stage, "entropy")], from_zero=False),
        panel("Gradient norm, before clipping", [column(stage, "gradient_norm")]),
        panel("Learning rate", [column(stage, "learning_rate")]),
        panel("Tokens learnt a step", [column(stage, "tokens_trained")]),
        panel("Busiest expert, times an even share", [column(stage, "expert_imbalance")], level=Level("even", 1)),
        panel("Tokens a second", [column(stage, "tokens_per_second", timing=True)]),
        panel("Seconds a step", [column(stage, "seconds", timing=True)]),
        expert_load(stage),
    ]
    return grid(panels) if any(panels) else '<p class="quiet">No step has been done.</p>'


def reinforcement_section(stages: Sequence[StageFiles], config: RLStageConfig) -> str:
    """Curves of one or more runs of a stage of reinforcement learning, in the same axes.

    Args:
        stages: Runs that differ in the loss alone.
        config: Settings of the stage.
    """
    stages = [stage for stage in stages if stage.metrics]
    if not stages:
        return '<p class="quiet">No step has been done.</p>'
    objective = config.rl.objective
    budget = _budget(config)
    phi = Level(f"Φ: {budget:,} tokens", budget) if budget else None
    longest = Level(f"longest: {config.rl.rollout.max_new_tokens:,}", config.rl.rollout.max_new_tokens)

    def lines(name: str, timing: bool = False) -> list[Series]:
        return [column(stage, name, style=style, timing=timing) for style, stage in enumerate(stages)]

    panels = [
        panel("Reward, mean of all responses", lines("reward")),
        panel("Entropy, nats a token", lines("entropy")),
        panel("Response length, tokens", lines("response_length"), level=longest if _near(stages, longest) else None),
        panel("Gradient norm, before clipping", lines("gradient_norm")),
        panel("Tokens generated a step", lines("tokens_generated"), level=phi),
        panel("Tokens trained on a step", lines("tokens_trained"), level=phi),
        panel("Fill of the token budget, share", lines("budget_fill"), level=Level("full", 1)),
        panel("Clipped tokens, share", lines("clip_share")),
        panel(f"KL to the reference ({objective.kl_estimator}), nats a token", lines("kl")),
        panel("Log-prob mismatch of sampler and trainer, nats", lines("logprob_mismatch")),
        panel("Truncated responses, share", lines("truncated_share")),
        panel("Groups without variance of rewards, share", lines("zero_variance_share")),
        panel("Busiest expert, times an even share", lines("expert_imbalance"), level=Level("even", 1)),
        panel("Entropy of the router, nats a token", lines("router_entropy")),
        panel("Tokens generated a second", lines("tokens_per_second", timing=True)),
        panel("Seconds a step", lines("seconds", timing=True)),
        panel("Seconds of a step that are rollouts", lines("rollout_seconds", timing=True)),
        *map(expert_load, stages),
    ]
    return grid(panels)


def _near(stages: Sequence[StageFiles], longest: Level) -> bool:
    """Whether responses are so long that their limit belongs into the picture."""
    lengths = [y for stage in stages for _, y in column(stage, "response_length").known()]
    return max(lengths, default=0) > longest.low / 2


def _budget(config: RLStageConfig) -> int | None:
    """Tokens that a whole step may train on; None where there is no budget, or where it depends on the ranks."""
    rl = config.rl
    if rl.objective.token_budget is None or rl.objective.budget_scope == "rank":
        return None
    if rl.objective.budget_scope == "global":
        return rl.objective.token_budget * rl.optimizer.updates_per_rollout
    return rl.objective.token_budget * -(-rl.rollout.prompts_per_step // rl.objective.mini_batch_prompts)
