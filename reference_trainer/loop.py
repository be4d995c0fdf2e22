"""Runs a stage for a number of steps: metrics beside every step, checkpoints, and the way back from a kill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from reference_trainer.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from reference_trainer.engine import UpdateEngine
from reference_trainer.metrics import MetricsLog
from reference_trainer.trainer import Trainer


def run(
    trainer: Trainer[Any],
    steps: int,
    folder: Path,
    *,
    checkpoint_every: int = 1,
    keep: int = 2,
    tensorboard: bool = False,
    other_threads: bool = False,
    after_step: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Advances ``trainer`` to ``steps`` iterations in all, resuming from the newest checkpoint of ``folder``.

    Whenever the process dies, calling this again with a trainer made from the same inputs continues, and weights and
    ``metrics.jsonl`` end bitwise as those of a run that was never interrupted. Of several ranks all call this, and rank
    0 writes.

    Args:
        trainer: Fresh; its state is replaced where there is a checkpoint.
        steps: Iterations of the whole stage.
        folder: Of this run, the same for all ranks: ``metrics.jsonl``, ``timings.jsonl``, ``checkpoints/``.
        checkpoint_every: Steps between checkpoints; the last step always has one.
        keep: Newest checkpoints that are kept.
        tensorboard: Write event files as well.
        other_threads: See ``load_checkpoint``.
        after_step: Called with the metrics of each step before its checkpoint, and so once more for a step that is
            repeated after a kill.
    """
    newest = latest_checkpoint(folder / "checkpoints")
    refuse_other_storage(trainer.engine, folder, newest)
    if newest is not None:
        trainer.load_state_dict(load_checkpoint(newest, other_threads=other_threads))
    first = trainer.engine.rank == 0
    log = MetricsLog(folder, tensorboard=tensorboard, step=trainer.steps) if first else None
    try:
        while trainer.steps < steps:
            metrics, timings = trainer.step()
            if log is not None:
                log.append(trainer.steps, metrics, timings)
            if after_step is not None:
                after_step(metrics)
            if trainer.steps % checkpoint_every == 0 or trainer.steps == steps:
                state = trainer.state_dict()  # all ranks give their shards
                if first:
                    save_checkpoint(folder / "checkpoints", trainer.steps, state, keep)
    finally:
        if log is not None:
            log.close()


def refuse_other_storage(engine: UpdateEngine, folder: Path, newest: Path | None) -> None:
    """Raises UsageError where ranks see different checkpoints: they would resume at different steps."""
    seen = engine.gather("none" if newest is None else newest.name)
    if len(set(seen)) > 1:
        other = next(rank for rank, name in enumerate(seen) if name != seen[0])
        raise UsageError(
            f"the newest checkpoint in {folder} is {seen[0]} for rank 0 and {seen[other]} for rank {other}: put the "
            "run's folder on storage that all ranks share"
        )
