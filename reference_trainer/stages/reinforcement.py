"""The stages of reinforcement learning: C3PO on mathematics, then on code and science, and GRPO for comparison."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from reference_trainer.engine import UpdateBatch
from reference_trainer.engine.settings import make_engine
from reference_trainer.export import export_checkpoint, load_checkpoint_model
from reference_trainer.loop import run as run_loop
from reference_trainer.recipe import RLStageConfig
from reference_trainer.rollout.settings import make_rollout_engine
from reference_trainer.stages.sources import checkpoint_to_start_from, load_prompts, load_tokenizer
from reference_trainer.stages.stage import StageRun, derived_seed
from reference_trainer.step import Iteration, RLTrainer
from reference_trainer.stream import PromptStream
from reference_trainer.tasks import Verifier, VerifierReward

CHECKPOINT, EVIDENCE = "checkpoint", "evidence"


def c3po_math(run: StageRun) -> None:
    """Stage 1: mathematics, from the selected checkpoint."""
    reinforce(run, run.recipe.c3po_math, checkpoint_to_start_from(run, "select"))


def c3po_code_science(run: StageRun) -> None:
    """Stage 2: code and science, from the end of stage 1."""
    reinforce(run, run.recipe.c3po_code_science, checkpoint_to_start_from(run, "c3po-math"))


def grpo_math(run: StageRun) -> None:
    """Stage 1 under GRPO, from the same checkpoint and on the same prompts, for comparison; nothing follows from it."""
    stage = run.recipe.c3po_math
    objective = stage.rl.objective.model_copy(update={"loss": "grpo"})
    rl = stage.rl.model_copy(update={"objective": objective})
    seed = derived_seed(run.recipe.seed, "c3po-math")
    reinforce(run, stage.model_copy(update={"rl": rl}), checkpoint_to_start_from(run, "select"), seed)


def reinforce(run: StageRun, config: RLStageConfig, start: Path | str, seed: int | None = None) -> None:
    """Leaves ``checkpoint/``, ``metrics.jsonl`` and ``evidence/`` (what the first and the last step trained on).

    Args:
        run: The stage.
        config: Its settings.
        start: Checkpoint to start from.
        seed: Of prompts and responses; None: the stage's own. Stages that are compared share one.
    """
    seed = run.seed if seed is None else seed
    tokenizer = load_tokenizer(run)
    model = load_checkpoint_model(start, run.recipe.model)
    initial = load_checkpoint_model(checkpoint_to_start_from(run, "select"), run.recipe.model)
    rl = config.rl.model_copy(update={"seed": seed})
    engine = make_engine(run.recipe.engine, model, rl.objective, rl.optimizer, rl.rollout.temperature, initial)
    stream = PromptStream(load_prompts(run, tokenizer, config.domains), seed)
    torch.manual_seed(seed)
    made = make_rollout_engine(run.recipe.rollout_engine, model, tokenizer.eos_token_id)
    with closing(made) as sampler, verified_reward(tokenizer) as reward:
        trainer = RLTrainer(engine, sampler, stream, reward, rl)

        def after_step(metrics: dict[str, Any]) -> None:
            run.progress(trainer.steps, config.steps, f"reward {metrics['reward']:.3f}")
            if trainer.steps in (1, config.steps) and trainer.last is not None:
                batches = [UpdateBatch.joined(engine.gather(batch)) for batch in trainer.last.batches]
                if engine.rank == 0:
                    path = run.folder / EVIDENCE / f"step-{trainer.steps:06d}.pt"
                    save_evidence(path, replace(trainer.last, batches=batches))

        run_loop(trainer, config.steps, run.folder, checkpoint_every=config.checkpoint_every, after_step=after_step)
        target, write = run.folder / CHECKPOINT, engine.rank == 0
        export_checkpoint(engine.weights(), model.config, tokenizer, target, write=write)


@contextmanager
def verified_reward(tokenizer: Any) -> Iterator[VerifierReward]:
    """The reward of these stages: the verifier on the whole response."""
    with Verifier() as verifier:
        yield VerifierReward(tokenizer, verifier)


def save_evidence(path: Path, iteration: Iteration) -> None:
    """Writes what an iteration sampled and trained on, as tensors and plain values."""
    experience = iteration.experience
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "prompts": [prompt.id for prompt in experience.prompts],
        "rollouts": [
            {"prompt": r.prompt, "response": r.response, "logprobs": r.logprobs, "finished": r.finished, "seed": r.seed}
            for r in experience.rollouts
        ],
        "rewards": experience.rewards,
        "advantages": iteration.advantages,
        "batches": [asdict(batch) for batch in iteration.batches],
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)
