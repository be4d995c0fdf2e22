"""What a step of reinforcement learning sampled and trained on, as the stage has kept it, and checks of it alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig, RLConfig
from reference_trainer.engine import UpdateBatch
from reference_trainer.gates.metrics import METRICS
from reference_trainer.gates.plain import plain_advantages, plain_cut
from reference_trainer.gates.record import Check
from reference_trainer.metrics import read_rows
from reference_trainer.rollout import Rollout
from reference_trainer.stages import StageRun

_CLOSE = 1e-9


@dataclass(frozen=True)
class Evidence:
    """One step: ids of L prompts, L K responses in prompt order, rewards [L][K], and the batch of each update."""

    step: int
    prompts: list[str]
    rollouts: list[Rollout]
    rewards: list[list[float]]
    batches: list[UpdateBatch]

    @property
    def lengths(self) -> list[int]:
        """abs(y_i) of every response."""
        return [len(rollout.response) for rollout in self.rollouts]

    @property
    def groups(self) -> list[list[Rollout]]:
        """The K responses of each prompt."""
        size = len(self.rewards[0])
        return [self.rollouts[i : i + size] for i in range(0, len(self.rollouts), size)]


def read_evidence(run: StageRun, steps: int) -> list[Evidence]:
    """The evidence of the first and the last step.

    Raises:
        UsageError: A file is missing or damaged.
    """
    return [_read(run.folder / "evidence" / f"step-{step:06d}.pt", step) for step in sorted({1, steps})]


def _read(path: Path, step: int) -> Evidence:
    try:
        content = torch.load(path, weights_only=True)
        return Evidence(
            step,
            content["prompts"],
            [Rollout(**rollout) for rollout in content["rollouts"]],
            content["rewards"].tolist(),
            [UpdateBatch(**batch) for batch in content["batches"]],
        )
    except Exception as error:
        raise UsageError(f"{path} is no evidence of a step ({type(error).__name__}: {error})") from error


def check_figures(run: StageRun, evidence: Evidence) -> Check:
    """The metrics of the step are those of what it sampled and trained on."""
    row = next((row for row in read_rows(run.folder / METRICS) if row["step"] == evidence.step), {})
    rewards = [reward for group in evidence.rewards for reward in group]
    expected = {
        "reward": sum(rewards) / len(rewards),
        "tokens_generated": sum(evidence.lengths),
        "response_length_max": max(evidence.lengths),
        "truncated_share": sum(not rollout.finished for rollout in evidence.rollouts) / len(rewards),
        "tokens_trained": sum(batch.tokens for batch in evidence.batches),
    }
    wrong = {name: value for name, value in expected.items() if abs((row.get(name) or 0.0) - value) > _CLOSE}
    told = ", ".join(f"{name} {row.get(name)} instead of {value:.6g}" for name, value in wrong.items())
    return Check(
        f"evidence.{evidence.step}.figures", not wrong, len(wrong), "0 figures other than in metrics.jsonl", told
    )


def check_batches(evidence: Evidence, rl: RLConfig) -> Iterator[Check]:
    """Eq. 3 and the advantages of the batches that the step trained on."""
    yield from batch_checks(f"evidence.{evidence.step}", evidence.batches, evidence.groups, evidence.rewards, rl)


def batch_checks(
    name: str,
    batches: Sequence[UpdateBatch],
    groups: Sequence[Sequence[Rollout]],
    rewards: Sequence[Sequence[float]],
    rl: RLConfig,
) -> Iterator[Check]:
    """Holds the batches of a step against Eq. 3 and against advantages worked out before any cut."""
    kept_wrong, divisor_wrong, worst, told = 0, 0, 0.0, ""
    parts = _parts(len(groups), rl.optimizer.updates_per_rollout)
    for batch, part in zip(batches, parts, strict=True):
        responses = [rollout for number in part for rollout in groups[number]]
        given = [list(rewards[number]) for number in part]
        kept, divisor = expected_cut([[len(r.response) for r in groups[n]] for n in part], given, rl.objective)
        advantages = [a for row in given for a in plain_advantages(row, rl.objective.advantage_std)]
        if rl.objective.fill_order != "batch":
            exact = rl.objective.last_response == "truncate"
            kept, faults = _found_cut(batch, responses, sum(kept) if exact else None, _units(len(part), rl.objective))
            kept_wrong += faults
        numbers = [number for number, k in enumerate(kept) if k]
        if len(numbers) != len(batch):
            kept_wrong += abs(len(numbers) - len(batch))
            told = told or f"{len(batch)} responses were trained on in place of {len(numbers)}"
        divisor_wrong += abs(batch.divisor - divisor) > _CLOSE
        for row, number in enumerate(numbers[: len(batch)]):
            whole, k = responses[number].response, kept[number]
            same = torch.equal(batch.responses[row], whole[:k]) and int(batch.lengths[row]) == len(whole)
            kept_wrong += not (same and torch.equal(batch.prompts[row], responses[number].prompt))
            if same:
                worst = max(worst, abs(float(batch.advantages[row]) - advantages[number]))
    yield Check(
        f"{name}.budget", kept_wrong == 0, kept_wrong, "0 responses cut otherwise than by Eq. 3",
        told or ("look at select_tokens and update_batch" if kept_wrong else ""),
    )  # fmt: skip
    yield Check(
        f"{name}.divisor", divisor_wrong == 0, int(divisor_wrong), "0 updates divided by other than Phi",
        "look at Selection.divisor" if divisor_wrong else "",
    )  # fmt: skip
    yield Check(
        f"{name}.advantages",
        worst <= _CLOSE,
        worst,
        f"(R - mean) / std over the whole group, before any cut, within {_CLOSE:g}",
        "look at group_advantages and where RLTrainer.step calls it" if worst > _CLOSE else "",
    )


def expected_cut(
    lengths: Sequence[Sequence[int]], rewards: Sequence[Sequence[float]], objective: ObjectiveConfig
) -> tuple[list[int], float]:
    """k_i of every response of one update under the batch order, and what its loss is divided by."""
    offered = [
        0 if objective.zero_variance == "drop" and len(set(given)) == 1 else length
        for row, given in zip(lengths, rewards, strict=True)
        for length in row
    ]
    if objective.loss == "grpo" or objective.token_budget is None:
        return offered, float(max(1, sum(offered)))
    size, phi = len(lengths[0]), objective.token_budget
    per_unit = objective.mini_batch_prompts * size if objective.budget_scope == "mini_batch" else len(offered)
    units = [offered[i : i + per_unit] for i in range(0, len(offered), per_unit)]
    kept = [k for unit in units for k in plain_cut(unit, phi, objective.last_response)]
    total, full = sum(kept), phi * len(units)
    return kept, float(total if objective.under_fill == "renormalise" and 0 < total < full else full)


def _units(groups: int, objective: ObjectiveConfig) -> int:
    """How many budgets an update has."""
    return -(-groups // objective.mini_batch_prompts) if objective.budget_scope == "mini_batch" else 1


def _found_cut(
    batch: UpdateBatch, responses: Sequence[Rollout], total: int | None, most_partial: int
) -> tuple[list[int], int]:
    """k_i as the batch has them, for an order that was drawn; how far they are from any cut by Eq. 3."""
    kept, row = [0] * len(responses), 0
    for number, rollout in enumerate(responses):
        if row < len(batch) and torch.equal(batch.prompts[row], rollout.prompt):
            found = batch.responses[row]
            if torch.equal(found, rollout.response[: len(found)]) and int(batch.lengths[row]) == len(rollout.response):
                kept[number], row = len(found), row + 1
    partial = sum(0 < k < len(rollout.response) for k, rollout in zip(kept, responses, strict=True))
    return kept, max(0, partial - most_partial) + (0 if total is None else abs(sum(kept) - total))


def _parts(groups: int, updates: int) -> list[list[int]]:
    """Numbers of the groups of each update: as even as can be, larger parts first."""
    small, more = divmod(groups, updates)
    sizes = [small + (number < more) for number in range(updates)]
    return [list(range(sum(sizes[:i]), sum(sizes[: i + 1]))) for i in range(updates)]
