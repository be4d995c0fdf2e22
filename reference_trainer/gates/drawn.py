"""A property over cases that hypothesis draws, as one check of a gate."""

import math
from collections.abc import Callable
from typing import Any

from harness.errors import UsageError
from reference_trainer.gates.record import Check


def strategies() -> Any:
    """hypothesis' strategies.

    Raises:
        UsageError: hypothesis is not installed.
    """
    try:
        from hypothesis import strategies as st
    except ImportError:
        raise UsageError("gates need the package hypothesis: pip install 'ringlite[train]'") from None
    return st


def holds(
    name: str, bound: str, tolerance: float, strategy: Any, examples: int, error: Callable[[Any], float], look: str
) -> Check:
    """Whether ``error`` stays within ``tolerance`` over ``examples`` drawn cases, the same ones every time.

    The value of the check is the largest error; its detail has the first case beyond the tolerance. Cases are not
    shrunk: each costs passes through a model, and a gate should be red soon.
    """
    from hypothesis import HealthCheck, Phase, given, settings

    worst, failing = 0.0, ""

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(strategy)
    def property_holds(case: Any) -> None:
        nonlocal worst, failing
        found = error(case)
        value = found if not math.isnan(found) else math.inf
        worst = max(worst, value)
        if value > tolerance and not failing:
            failing = f"{look}; case: {case}"

    property_holds()
    return Check(name, not failing, worst if math.isfinite(worst) else None, f"{bound} within {tolerance:g}", failing)
