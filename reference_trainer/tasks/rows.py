"""The held-out sets as the ``toy_*`` cards read them, made on the spot: the entry points of ``ringlite.rows``."""

from typing import Any

from reference_trainer.tasks.files import HELDOUT_SEED, SIZES, benchmark_row
from reference_trainer.tasks.problem import Domain
from reference_trainer.tasks.problems import problem_set


def toy_math() -> list[dict[str, Any]]:
    """Rows of ``toy_math``."""
    return _rows("math")


def toy_code() -> list[dict[str, Any]]:
    """Rows of ``toy_code``."""
    return _rows("code")


def toy_science() -> list[dict[str, Any]]:
    """Rows of ``toy_science``."""
    return _rows("science")


def _rows(domain: Domain) -> list[dict[str, Any]]:
    return [benchmark_row(problem) for problem in problem_set(domain, "heldout", SIZES["heldout"], HELDOUT_SEED)]
