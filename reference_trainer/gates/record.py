"""What a gate leaves in the stage's folder: ``gate.json``, the signed-off record of one judgement.

Its fields::

    schema_version   of this form
    stage            name
    verdict          "green" or "red"
    compared         what the regression gate compared with, in words, or that there was nothing to compare with
    checks           [{name, ok, value, bound, detail}], in the order in which they were made; value is a number, a text
                     or null, bound says in words what it had to be, detail is empty or says what to look at
    scores           domain -> {benchmark, task, scorer, score (share of 1), se, low, high (95 %, sampling), problems,
                     samples, correct: {problem id: c_i}, drawn: {problem id: n_i}, truncated, mean_tokens}
    baseline         null, or {path, digest, commit, recorded, reason, domains: {domain: {score, difference, se,
                     p_value, p_holm, margin, problems}}}, shares of 1; difference is score now minus score then
    previous         as baseline, for a stage that is also held against an earlier stage of the same run, else null
    gates            settings of the recipe's ``gates``
    inputs, outputs  of the stage's manifest: file -> SHA-256
    environment      versions and thread count of this judgement
    seed             of the stage
    baseline_digest  of the baseline's scores of this stage, or null
    gate_code        16 digits of the hash of the gates' source
    digest           SHA-256 over all of the above as canonical JSON: an edited record no longer fits it
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.protocol import digest
from harness.store import write_json

SCHEMA_VERSION = 1
RECORD = "gate.json"


@dataclass(frozen=True)
class Check:
    """One thing that a gate has looked at.

    Attributes:
        name: Stable name, e.g. ``metrics.learning_rate``.
        ok: Whether it holds.
        value: What was found: a number, a text, or None.
        bound: What it had to be, in words.
        detail: What to look at where it does not hold.
    """

    name: str
    ok: bool
    value: float | int | str | None
    bound: str
    detail: str = ""

    def __str__(self) -> str:
        value = f"{self.value:.6g}" if isinstance(self.value, float) else str(self.value)
        detail = f"; {self.detail}" if self.detail else ""
        return f"{self.name} is {value}, and has to be {self.bound}{detail}"


@dataclass(frozen=True)
class Judgement:
    """All checks of one gate, with the scores and comparisons that some of them rest on; see the module."""

    checks: Sequence[Check]
    compared: str
    scores: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] | None = None
    previous: Mapping[str, Any] | None = None

    @property
    def red(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.ok]


def write_record(folder: Path, judgement: Judgement, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the record of a stage's folder in one step and returns it; ``facts`` are the fields after ``previous``."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "stage": folder.name,
        "verdict": "red" if judgement.red else "green",
        "compared": judgement.compared,
        "checks": [asdict(check) for check in judgement.checks],
        "scores": dict(judgement.scores),
        "baseline": judgement.baseline,
        "previous": judgement.previous,
        **facts,
    }
    content = json.loads(json.dumps(content, allow_nan=False))
    record = {**content, "digest": digest(content)}
    write_json(folder / RECORD, record)
    return record


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a stage's folder; None where there is none.

    Raises:
        UsageError: It cannot be read, has another form, or was edited.
    """
    path = folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        content = {name: value for name, value in record.items() if name != "digest"}
        whole = record.get("digest") == digest(content)
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        whole, record = False, {}
    if not whole:
        raise UsageError(
            f"{path} was changed after it was written: remove it, and judge again with ringlite train gate"
        )
    if record.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema_version {record.get('schema_version')}, this version reads {SCHEMA_VERSION}"
        )
    return record
