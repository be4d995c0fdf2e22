"""The update engine: ``UpdateEngine`` is the arithmetic and the interface, ``OneProcessEngine`` runs it with torch."""

from reference_trainer.engine.batch import MicroBatch, UpdateBatch
from reference_trainer.engine.one_process import OneProcessEngine
from reference_trainer.engine.update import UpdateEngine

__all__ = ["MicroBatch", "OneProcessEngine", "UpdateBatch", "UpdateEngine"]
