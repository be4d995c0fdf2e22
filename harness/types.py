"""The whole contract between the rooms of the harness, on one page.

card -> Problem -> Request -> backend -> Sample -> grader -> Grade -> score -> verdict -> report
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

SCHEMA_VERSION = 1

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": ...}

GradeStatus = Literal[
    "ok",  # an answer was found and compared (or a program was run)
    "no_answer",  # nothing in the response counts as an answer
    "truncated",  # no answer because the response was cut at the token limit
    "timeout",  # the comparison was killed at its deadline
    "refused_input",  # the answer is outside what the grader accepts (too long, too deep, ...)
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a benchmark, ready to be asked.

    Attributes:
        id: Stable and unique within its benchmark.
        prompt: The user's message, fully rendered.
        gold: What the grader compares with. Mathematics: the answer (str) or answers (list of str). Choice: the
            letter. Code: the mapping documented in ``harness.graders.code``.
        metadata: Subject, level, date, difficulty, ...: whatever tables are broken down by.
        prefix: For ``prompt_style: completion`` benchmarks (HumanEval), the text that the answer continues; else "".
    """

    id: str
    prompt: str
    gold: Any
    metadata: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a model is sampled; part of the protocol that two runs must share.

    ``top_k`` 0 and ``max_tokens`` None mean no limit of ours (the engine's own context limit still holds).
    """

    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 0
    max_tokens: int | None = 32768
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One sample to draw: sample ``index`` of ``problem_id``, with its own seed.

    ``style``: "chat" goes through the model's chat template; "completion" is one message that the model continues.
    """

    task: str
    problem_id: str
    index: int
    seed: int
    messages: tuple[Message, ...]
    style: Literal["chat", "completion"] = "chat"


@dataclass(frozen=True, slots=True)
class Sample:
    """One generated response, as it is stored.

    Attributes:
        task: Hash of what was asked (benchmark, data, prompt, sampling); see ``harness.protocol``.
        benchmark: Name of the card.
        problem_id: ``Problem.id``.
        index: 0-based number of the sample of this problem.
        seed: The seed that this sample was drawn with; None where the engine cannot be seeded or it is not known.
        response: The generated text, without the prompt.
        finish_reason: "stop" (ended by itself), "length" (cut at the limit) or "unknown" (foreign generations).
        prompt_tokens: Tokens of the prompt; None if not known.
        completion_tokens: Generated tokens with the end token; None if not known.
        metadata: What a backend or an importer wants to keep beside it (official verdicts, for instance).
    """

    task: str
    benchmark: str
    problem_id: str
    index: int
    seed: int | None
    response: str
    finish_reason: Literal["stop", "length", "unknown"]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grade:
    """What one grader says of one sample.

    Attributes:
        scorer: Name of the grader and variant, e.g. "math-verify", "strict", "choice", "code".
        correct: The verdict. False whenever ``status`` is not "ok".
        status: Why there is no comparison, each cause apart from a wrong answer.
        extracted: The answer (letter, program) that was compared, cut to 2,000 characters.
        evidence: Anything that explains the verdict: failing case, CPU time, the other scorer's view, ...
    """

    task: str
    benchmark: str
    problem_id: str
    index: int
    scorer: str
    correct: bool
    status: GradeStatus
    extracted: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


class Backend(Protocol):
    """An engine that turns requests into samples.

    ``generate`` yields in any order, each sample as soon as it is there, and never holds more than a bounded number of
    unfinished requests. A request that fails for good raises; samples already yielded stay stored.
    """

    name: str
    seedable: bool  # the same request gives the same sample again, also after a resume
    batch_size: int | None  # requests that are drawn together, rounding and all; None: each is drawn by itself

    def describe(self) -> dict[str, Any]:
        """What identifies the model and engine in a manifest.

        ``model``: name, hashes of weights, tokenizer and chat template. ``engine``: name, version, dtype and whatever
        else changes the text. ``host``: facts that may change between two starts (threads, device, batch size).
        """
        ...

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        """Samples the requests."""
        ...

    def close(self) -> None:
        """Frees what the engine holds."""
        ...
