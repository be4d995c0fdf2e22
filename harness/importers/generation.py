"""One saved response before its problem is known to us."""

from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "unknown"]


@dataclass(frozen=True, slots=True)
class Generation:
    """One response as a foreign file has it.

    Attributes:
        problem: The file's name of the problem; None where it has only its text.
        response: What the model wrote.
        index: Number of the sample; None: the file does not say, and order counts.
        text: The problem's text, to find it by; None if the file has none.
        benchmark: Benchmark that the file names; None if it names none.
        finish_reason, seed, prompt_tokens, completion_tokens, metadata: As in ``Sample``. ``metadata["official"]`` is
            an official verdict; ``metadata["program"]`` a program that the file holds already extracted.
    """

    problem: str | None
    response: str
    index: int | None = None
    text: str | None = None
    benchmark: str | None = None
    finish_reason: FinishReason = "unknown"
    seed: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
