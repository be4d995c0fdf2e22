"""The normalised row that every source of a benchmark is mapped to, and where it came from."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One problem as data, before it is asked in any particular way.

    Attributes:
        id: Stable and unique within the benchmark, the same whichever source the row came from.
        question: The problem's text.
        gold: What ``Problem.gold`` will be.
        identity: JSON-able values that, with ``id`` and ``question``, make the row what it is; they are hashed.
        fields: Texts that a prompt template may name besides ``question``.
        metadata: What tables are broken down by.
        prefix: Text that a base model continues.
        variant: Name of the prompt variant that this row needs; None: the main template.
    """

    id: str
    question: str
    gold: Any
    identity: Any
    fields: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows came from, as it stands in a manifest.

    Attributes:
        kind: ``local``, ``package`` or ``hub``.
        where: File or folder, package with version, or hub repository.
        config, split, revision: For the hub; ``revision`` is the commit that was really read.
        notes: What a reader of the score should know, e.g. ``{"tests": "public_only"}``.
    """

    kind: str
    where: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
