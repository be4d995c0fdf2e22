"""The gate's checks of a stage of reinforcement learning."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from reference_trainer.config import ObjectiveConfig, OptimizerConfig, RLConfig
from reference_trainer.engine import OneProcessEngine, UpdateBatch
from reference_trainer.export import load_checkpoint_model
from reference_trainer.gates.checkpoints import check_checkpoint
from reference_trainer.gates.evidence import Evidence, check_batches, check_figures, read_evidence
from reference_trainer.gates.heldout import Source, check_sources, questions_of, read_column
from reference_trainer.gates.metrics import METRICS, check_rl_metrics
from reference_trainer.gates.objective import ObjectiveChecks
from reference_trainer.gates.plain import gradient, plain_terms
from reference_trainer.gates.probe import plain_sequences
from reference_trainer.gates.record import Check
from reference_trainer.gates.rewards import check_rewards
from reference_trainer.metrics import read_rows
from reference_trainer.recipe import RLStageConfig, ToyData
from reference_trainer.stages import StageRun
from reference_trainer.stages.sources import checkpoint_to_start_from, load_tokenizer

_LOGPROB = 2e-5  # sampler against trainer, float32
_UNTRAINED = ObjectiveConfig(token_budget=None, kl_coefficient=0)
_MOST_WORK = 1e11  # weights x tokens of a step that are worked out again in float64, about a minute


def check_reinforcement(run: StageRun, stage: RLStageConfig, before: str) -> Iterator[Check]:
    """All checks of a stage that started from the checkpoint of stage ``before``; the dearest, of its rewards, last."""
    red = False
    for check in _check_training(run, stage, before):
        red = red or not check.ok
        yield check
    if isinstance(run.recipe.data, ToyData) and not red:
        yield from check_rewards(run, read_evidence(run, stage.steps), load_tokenizer(run))


def _check_training(run: StageRun, stage: RLStageConfig, before: str) -> Iterator[Check]:
    tokenizer = load_tokenizer(run)
    yield from check_rl_metrics(run, stage.steps, stage.rl, len(tokenizer))
    evidence = read_evidence(run, stage.steps)
    checkpoint = list(check_checkpoint(run, run.folder / "checkpoint", evidence[0].rollouts[0].prompt[None]))
    yield from checkpoint
    if not all(check.ok for check in checkpoint):
        return  # all that follows would fail with it
    rl = stage.rl.model_copy(update={"seed": run.seed})
    for step in evidence:
        yield check_figures(run, step)
        if all(batch.tokens == sum(map(len, batch.responses)) for batch in step.batches):  # else one rank's share
            yield from check_batches(step, rl)
    if isinstance(run.recipe.data, ToyData):
        yield from _check_prompts(run, stage, evidence, tokenizer)
    start = load_checkpoint_model(checkpoint_to_start_from(run, before), run.recipe.model).double()
    if _work(start, evidence[0]) <= _MOST_WORK:
        yield from _check_first_step(run, rl, evidence[0], start)
        end = load_checkpoint_model(run.folder / "checkpoint", run.recipe.model).double()
        yield from ObjectiveChecks(end, start, rl, evidence[-1], run.recipe.gates).checks()


def _work(model: Any, evidence: Evidence) -> float:
    return float(sum(weight.numel() for weight in model.parameters())) * sum(evidence.lengths)


def _check_prompts(run: StageRun, stage: RLStageConfig, evidence: list[Evidence], tokenizer: Any) -> Iterator[Check]:
    """The stage draws problems of its domains alone, from the training sets alone, also in the files that it reads."""
    names = [name for step in evidence for name in step.prompts]
    wrong = sorted({name for name in names if name.split("-")[0] not in stage.domains})
    yield Check(
        "domains",
        not wrong,
        len(wrong),
        f"0 prompts that are not of {' or '.join(stage.domains)}",
        ", ".join(wrong[:3]),
    )
    drawn = questions_of((r.prompt.tolist() for step in evidence for r in step.rollouts), tokenizer)
    sources = [Source("drawn", list(dict.fromkeys(drawn)))]
    curated = run.of("curate", "curated.jsonl")
    files = [curated] if run.recipe.curate else [run.of("data", f"{domain}/train.jsonl") for domain in stage.domains]
    sources += [Source(_name(run, path), read_column(path, "question")) for path in files]
    yield from check_sources(run, sources)


def _name(run: StageRun, path: Path) -> str:
    return path.relative_to(run.run).as_posix().removesuffix(".jsonl")


def _check_first_step(run: StageRun, rl: RLConfig, evidence: Evidence, start: Any) -> Iterator[Check]:
    """What the first step recorded, worked out again from the checkpoint that it started from."""
    yield _check_logprobs(run, rl, evidence, start)
    row = next((row for row in read_rows(run.folder / METRICS) if row["step"] == 1), {})
    [*batches] = evidence.batches
    exact = rl.optimizer.autocast == "none" and run.recipe.engine.dtype == "float32"
    if len(batches) > 1 or not exact or batches[0].routed_experts is not None or not batches[0].tokens:
        return
    terms, loss, norm = _again(batches[0], rl, start, run)
    balance, z = float(terms.balance.detach()), float(terms.z.detach())
    expected = {
        "policy_loss": (float(terms.policy.detach()), 2e-5),
        "entropy": (terms.mean_entropy, 2e-3),
        "kl": (terms.kl, 1e-5) if rl.objective.kl_coefficient else (None, 0.0),
        "balance_loss": (balance, 2e-3 * max(1.0, balance)),
        "z_loss": (z, 2e-3 * max(1.0, z)),
        "loss": (loss, 2e-5 * max(1.0, abs(loss))),
        "gradient_norm": (norm, 1e-2 * norm + 1e-6),
    }
    for name, (value, tolerance) in expected.items():
        if value is None:
            continue
        found = row.get(name)
        apart = abs(found - value) if isinstance(found, (int, float)) else None
        ok = apart is not None and apart <= tolerance
        yield Check(
            f"recorded.{name}",
            ok,
            found,
            f"{value:.6g}, as the equations give for the first step, within {tolerance:.2g}",
            "" if ok else f"off by {apart}: look at the objective that the stage was trained with",
        )


def _again(batch: UpdateBatch, rl: RLConfig, start: Any, run: StageRun) -> tuple[Any, float, float]:
    reference = start
    if rl.objective.reference_policy == "initial":
        reference = load_checkpoint_model(checkpoint_to_start_from(run, "select"), run.recipe.model).double()
    terms = plain_terms(
        start,
        reference if rl.objective.kl_coefficient else None,
        plain_sequences(batch),
        divisor=batch.divisor,
        responses=batch.update_responses,
        objective=rl.objective,
        temperature=rl.rollout.temperature,
    )
    total = terms.total(rl.objective)
    return terms, float(total.detach()), float(gradient(total, start).norm())


def _check_logprobs(run: StageRun, rl: RLConfig, evidence: Evidence, start: Any) -> Check:
    """The sampler's log-probabilities against the trainer's own on the same tokens, both in float32."""
    rollouts = evidence.rollouts
    lengths = torch.tensor([rollout.length for rollout in rollouts])
    batch = UpdateBatch(
        prompts=[rollout.prompt for rollout in rollouts],
        responses=[rollout.response for rollout in rollouts],
        lengths=lengths,
        advantages=torch.zeros(len(rollouts)),
        divisor=1.0,
        tokens=int(lengths.sum()),
        update_responses=len(rollouts),
    )
    engine = OneProcessEngine(deepcopy(start).float(), _UNTRAINED, OptimizerConfig(), rl.rollout.temperature)
    pairs = zip(engine.logprobs(batch), rollouts, strict=True)
    apart = torch.cat([(ours - rollout.logprobs).abs() for ours, rollout in pairs])
    exact = run.recipe.rollout_engine.kind == "transformers" and run.recipe.engine.dtype == "float32"
    tolerance = _LOGPROB if exact else 5e-2  # an engine of its own, in half precision: the mean counts
    value = float(apart.max() if exact else apart.mean())
    return Check(
        "logprobs",
        value <= tolerance,
        value,
        f"at most {tolerance:g} between sampler and trainer on the same tokens",
        "" if value <= tolerance else "look at the weights that the sampler held, its temperature, and its cache",
    )
