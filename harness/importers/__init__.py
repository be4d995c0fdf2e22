"""Generations that others saved -> ``Sample``; see ``reader`` for the entry point and the formats."""

from harness.importers.formats import FORMATS
from harness.importers.reader import read_generations

__all__ = ["FORMATS", "read_generations"]
