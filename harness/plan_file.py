"""plan.json: a plan as a file, so that the looks at a run are those that were fixed before it."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UsageError
from harness.plan import Look, Plan
from harness.types import SCHEMA_VERSION
from harness.validation import first_fault


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PlannedLook(_Part):
    """One look of a stored schedule."""

    samples: int = Field(ge=1)
    boundary: float = Field(gt=0)
    se: float = Field(gt=0)


class PlannedSchedule(_Part):
    """The looks of a stored plan, with the margin in points."""

    margin: float = Field(gt=0)
    looks: tuple[PlannedLook, ...] = Field(min_length=1)

    @property
    def fixed(self) -> tuple[Look, ...]:
        """The looks as the follower takes them."""
        return tuple(Look(look.samples, look.boundary, look.se) for look in self.looks)


class PlannedBenchmark(_Part):
    """One benchmark of a stored plan."""

    benchmark: str
    schedule: PlannedSchedule | None


class PlanFile(_Part):
    """A stored plan; keys that only people read are passed over."""

    schema_version: int = Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)
    against: str
    benchmarks: tuple[PlannedBenchmark, ...]


def plan_json(plans: Sequence[Plan], against: str) -> dict[str, Any]:
    """Plans as JSON; null where a figure is unbounded or not known."""
    return {
        "schema_version": SCHEMA_VERSION,
        "against": against,
        "benchmarks": [_finite(asdict(plan)) for plan in plans],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def load_plan(path: Path) -> PlanFile:
    """Reads a plan file.

    Raises:
        UsageError: It cannot be read or is no plan.
    """
    try:
        return PlanFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"plan {path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise UsageError(f"plan {path}: {first_fault(error, PlanFile)}; `ringlite plan --out` writes one") from error
