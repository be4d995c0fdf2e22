"""What the supervised stages share: train on examples, and leave a checkpoint in hub layout after each epoch."""

from collections.abc import Sequence
from typing import Any

import torch

from reference_trainer.engine.settings import make_engine
from reference_trainer.export import export_checkpoint
from reference_trainer.loop import run as run_loop
from reference_trainer.recipe import SFTConfig
from reference_trainer.sft import Example, SFTTrainer, fitting, sft_optimizer
from reference_trainer.stages.stage import StageRun


def train_supervised(run: StageRun, model: Any, tokenizer: Any, examples: Sequence[Example], config: SFTConfig) -> None:
    """Trains ``model``; leaves ``epoch-1/``, ``epoch-2/``, ... and ``metrics.jsonl`` in the stage's folder."""
    kept = fitting(examples, config.max_tokens)
    torch.manual_seed(run.seed)
    engine = make_engine(run.recipe.engine, model, config.objective, sft_optimizer(config, len(kept)))
    trainer = SFTTrainer(engine, kept, config, run.seed)

    def after_step(metrics: dict[str, Any]) -> None:
        run.progress(trainer.steps, trainer.total_steps, f"loss {metrics['loss']:.3f}")
        if (epoch := trainer.epoch_ending_here()) is not None:
            target, write = run.folder / f"epoch-{epoch}", engine.rank == 0
            export_checkpoint(engine.weights(), model.config, tokenizer, target, write=write)

    run_loop(
        trainer,
        trainer.total_steps,
        run.folder,
        checkpoint_every=config.checkpoint_every,
        after_step=after_step,
    )
