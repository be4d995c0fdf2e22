"""The data pipeline of the paper's Fig. 2: cleansing, deduplication, decontamination, verification, selection."""

from reference_trainer.curate.pipeline import curate
from reference_trainer.curate.recipe import Recipe, load_recipe

__all__ = ["Recipe", "curate", "load_recipe"]
