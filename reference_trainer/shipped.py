"""The toy's checkpoints that come with ringlite: base, distilled and final model of one run of ``recipes/toy.yaml``."""

from pathlib import Path

from harness.errors import UsageError
from harness.plugins import PackagedModel
from reference_trainer.tasks import DOMAINS

CHECKPOINTS = Path(__file__).parent / "checkpoints"
NAMES = ("toy-base", "toy-distilled", "toy-final")


def toy_base() -> PackagedModel:
    """After pre-training: it has never seen a question being answered."""
    return packaged("toy-base")


def toy_distilled() -> PackagedModel:
    """After distillation and selection: where reinforcement learning starts."""
    return packaged("toy-distilled")


def toy_final() -> PackagedModel:
    """At the end of the pipeline."""
    return packaged("toy-final")


def packaged(name: str) -> PackagedModel:
    """A checkpoint by its name, with the toy's benchmarks and the row of its recorded scores."""
    folder = CHECKPOINTS / name
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not there: install ringlite again, or train it with `ringlite train --recipe toy`"
        )
    return PackagedModel(folder, tuple(f"toy_{domain}" for domain in DOMAINS), name)
