"""Selection: which epoch of the distillation reinforcement learning starts from."""

import json
import shutil
from dataclasses import asdict
from typing import Any

from harness.store import write_json
from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine import OneProcessEngine
from reference_trainer.export import load_checkpoint_model
from reference_trainer.recipe import SelectConfig
from reference_trainer.select import Candidate, choose, mean_entropy
from reference_trainer.sft import Example
from reference_trainer.stages.measure import sample, verify
from reference_trainer.stages.sources import load_examples, load_prompts, load_tokenizer, validation_prompts
from reference_trainer.stages.stage import StageRun
from reference_trainer.tasks import DOMAINS, Verifier

_NO_OBJECTIVE = ObjectiveConfig(token_budget=None, kl_coefficient=0)


def select(run: StageRun) -> None:
    """Measures every epoch, and copies the chosen one to ``checkpoint/``; ``selection.json`` says why."""
    config, tokenizer = run.recipe.select, load_tokenizer(run)
    epochs = range(1, run.recipe.distill.epochs + 1)
    measured = []
    with Verifier() as verifier:
        for epoch in epochs:
            stored = run.folder / f"candidate-{epoch}.json"
            if not stored.exists():
                write_json(stored, _measure(run, tokenizer, epoch, verifier))
            measured.append(json.loads(stored.read_text()))
            run.progress(epoch, len(epochs), f"epoch {epoch}: entropy {measured[-1]['entropy']:.3f}")
    candidates = [Candidate(row["epoch"], row["entropy"], row["pass_rate"]) for row in measured]
    chosen = pick(candidates, config)
    shutil.rmtree(run.folder / "checkpoint", ignore_errors=True)
    shutil.copytree(run.of("distill", f"epoch-{chosen.epoch}"), run.folder / "checkpoint")
    write_json(
        run.folder / "selection.json",
        {
            "rule": config.by,
            "in_band": config.low <= chosen.entropy <= config.high,
            "chosen": asdict(chosen),
            "candidates": measured,
        },
    )


def pick(candidates: list[Candidate], config: SelectConfig) -> Candidate:
    """The paper's rule, or the best pass rate of all, the earlier of equals."""
    if config.by == "validation":
        return max(candidates, key=lambda c: (c.pass_rate, -c.epoch))
    return choose(candidates, config)


def _measure(run: StageRun, tokenizer: Any, epoch: int, verifier: Verifier) -> dict[str, Any]:
    """Entropy on prompts of reinforcement learning, pass rates on validation problems."""
    config = run.recipe.select
    model = load_checkpoint_model(run.of("distill", f"epoch-{epoch}"), run.recipe.model)
    engine = OneProcessEngine(model, _NO_OBJECTIVE, OptimizerConfig())
    prompts = validation_prompts(run, tokenizer, config.prompts)
    drawn = sample(run, model, tokenizer, prompts, config.samples, config.max_new_tokens)
    sampled = verify(*drawn, tokenizer, verifier)
    rates = sampled.pass_rates()
    if config.entropy == "on_policy":
        prompts = [p for d in DOMAINS for p in load_prompts(run, tokenizer, [d])[: config.prompts]]
        _, rollouts = sample(run, model, tokenizer, prompts, 1, config.max_new_tokens)
    else:
        rollouts = [_as_rollout(example) for example in load_examples(run, tokenizer)[: config.prompts]]
    return {
        "epoch": epoch,
        "entropy": mean_entropy(engine, rollouts),
        "pass_rate": sum(rates.values()) / len(rates),
        "pass_rates": rates,
        "response_length": sum(rollout.length for rollout in sampled.rollouts) / len(sampled.rollouts),
    }


def _as_rollout(example: Example) -> Any:
    import torch

    from reference_trainer.rollout import Rollout

    response = torch.tensor(example.response)
    return Rollout(torch.tensor(example.prompt), response, torch.zeros(len(response)), True, 0)
