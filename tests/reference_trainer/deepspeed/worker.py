"""The program of every rank: ``torchrun ... worker.py CASE FOLDER``."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
import toy  # beside this program

from harness.errors import CheckFailed
from reference_trainer.engine import UpdateEngine
from reference_trainer.export import export_checkpoint
from reference_trainer.tasks.tokenizer import toy_tokenizer


def equality(folder: Path) -> None:
    """Everything that one process does as well, with every way to shard."""
    alone = torch.load(folder / "one-process.pt", weights_only=True)
    for name, settings in {**toy.VARIANTS, **toy.HALF}.items():
        engine, rows = toy.supervised(settings)
        report = {"rows": rows, "weights": toy.weights_of(engine), "state": engine.state_dict()}
        if name in toy.VARIANTS:
            report["refused"] = refusal_of_nan(engine)
            engine.load_state_dict(alone)
            report["loaded"] = engine.state_dict()
            report["continued"] = engine.update(*engine.prepare([share(engine, 0)]))["loss"]
        save(engine, folder / f"sft {name}.pt", report)
    engine, rows = toy.supervised(toy.deepspeed(3), listed=True)
    save(engine, folder / "listed.pt", {"rows": rows, "weights": toy.weights_of(engine)})
    for stage in (1, 2, 3):
        trainer = toy.reinforce(toy.deepspeed(stage), folder / f"rl zero-{stage}")
        engine = trainer.engine
        report = {"weights": toy.weights_of(engine), "samples": samples(trainer)}
        save(engine, folder / f"rl zero-{stage}.pt", report)
        hub, config = folder / f"hub zero-{stage}", trainer.engine.scorer.model.config
        export_checkpoint(engine.weights(), config, toy_tokenizer(), hub, write=engine.rank == 0)


def share(engine: UpdateEngine, number: int) -> Any:
    return toy.batches()[number].share(engine.rank, engine.world_size)


def refusal_of_nan(engine: UpdateEngine) -> str:
    """What an update of NaN says, and that it leaves the weights."""
    before = toy.weights_of(engine)
    try:
        engine.update(toy.nan_batch().share(engine.rank, engine.world_size))
    except CheckFailed as error:
        after = toy.weights_of(engine)
        return str(error) if all(after[name].equal(before[name]) for name in before) else "the weights moved"
    return "not refused"


def samples(trainer: Any) -> list[list[int]]:
    """Responses of the trained policy, which every rank has to hold alike."""
    experience = trainer._draw(0)
    mine = [rollout.response.tolist() for rollout in experience.rollouts]
    assert all(other == mine for other in trainer.engine.gather(mine))
    return mine


def resumable(folder: Path, stage: int = 2) -> None:
    """A run of C3PO that can be killed: each rank leaves its process id."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"pid-{os.environ.get('RANK', '0')}").write_text(str(os.getpid()))
    trainer = toy.reinforce(toy.deepspeed(stage), folder)
    save(trainer.engine, folder / "end.pt", {"weights": toy.weights_of(trainer.engine)})


def save(engine: UpdateEngine, path: Path, report: dict[str, Any]) -> None:
    if engine.rank == 0:
        torch.save(report, path)


CASES = {"equality": equality, "resumable": resumable}

if __name__ == "__main__":
    torch.set_num_threads(1)
    CASES[sys.argv[1]](Path(sys.argv[2]), *map(int, sys.argv[3:]))
