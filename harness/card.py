"""A benchmark's card: where its data comes from, how it is asked, how it is graded, what it was published with.

A card is ``benchmarks/<name>/card.yaml``; this module is its schema. Keys that it does not know are refused.
"""

import importlib.resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import UsageError, nearest
from harness.types import Message, Problem, SamplingParams
from harness.validation import load_yaml

AnswerType = Literal["math", "aime", "choice", "code"]
PromptStyle = Literal["chat", "completion"]
RowRule = Literal[
    "aime", "math500", "gpqa", "livecodebench", "humaneval", "evalplus", "olympiad", "minerva", "livemath"
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hub(_Part):
    """A data set on the Hugging Face hub.

    Attributes:
        dataset: Repository, e.g. ``HuggingFaceH4/MATH-500``.
        configs: Configurations, read in this order and joined.
        split: Split.
        revision: Commit that rows are read at. None: the card's author could verify no commit; the loader resolves the
            newest one, names it in the manifest and ``ringlite data lock`` pins it. The content hash is checked anyway.
        gated: Terms have to be accepted on the hub and a token be set.
        files: Raw JSON Lines files by release, for repositories whose loading script ``datasets`` does not run.
        patterns: Files of the repository that are fetched.
        order: For rows that carry no contest and number: the contests in the order of the rows.
        content_hash: Where this source's text differs from the card's main source; else None.
    """

    dataset: str
    configs: tuple[str, ...] = ("default",)
    split: str
    revision: str | None = None
    gated: bool = False
    files: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    patterns: tuple[str, ...] = ("*",)
    order: tuple[str, ...] = ()
    content_hash: str | None = None


class LocalFile(_Part):
    """A file below the data folder.

    Attributes:
        path: Relative to the data folder.
        member: File inside an archive.
        release: LiveCodeBench release that the file holds in full.
        notes: Facts for the manifest, e.g. ``tests: public_only``.
        order, content_hash: As in ``Hub``.
    """

    path: str
    member: str | None = None
    release: str | None = None
    notes: dict[str, str] = Field(default_factory=dict)
    order: tuple[str, ...] = ()
    content_hash: str | None = None


class Download(_Part):
    """A file that its authors publish at a plain URL.

    Attributes:
        url: Where it is.
        path: Where it belongs below the data folder.
        sha256: Of its bytes; None where it could not be verified (the content hash is checked anyway).
    """

    url: str
    path: str
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")


class Prompt(_Part):
    """How a problem is asked.

    Attributes:
        style: ``chat``: ``template`` becomes the user's message. ``completion``: the model continues
            ``Problem.prefix``.
        template: Text with ``{question}`` and other fields of the normalised row in braces.
        system: System message, or None.
        variants: Other templates by name, e.g. ``answer_line`` for GPQA.
        source: Where the wording comes from.
    """

    style: PromptStyle = "chat"
    template: str
    system: str | None = None
    variants: dict[str, str] = Field(default_factory=dict)
    source: str


class Protocol(_Part):
    """How the paper sampled. ``n``: samples a problem; ``n_source`` says whether the paper states it."""

    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    max_tokens: int | None = Field(32768, gt=0)
    stop: tuple[str, ...] = ()
    shots: Literal[0] = 0
    n: int | None = Field(None, gt=0)
    n_source: Literal["stated", "inferred", "unknown"] = "unknown"

    @property
    def sampling(self) -> SamplingParams:
        """The part that a backend needs."""
        return SamplingParams(self.temperature, self.top_p, self.top_k, self.max_tokens, self.stop)


class Erratum(_Part):
    """A known fault of one problem: ``effect`` says what it does to a verdict."""

    problem: str
    what: str
    effect: Literal["several_outputs", "interactive", "wrong_tests", "wrong_gold", "text", "duplicate_options"]
    source: str


class Card(_Part):
    """One benchmark.

    Attributes:
        name: Folder name.
        title: As it is printed.
        description: One or two sentences.
        answer_type: What a response must end in.
        grader: Module of ``harness.graders`` that decides.
        prompt: How it is asked.
        protocol: The paper's sampling.
        margin: Equivalence margin of the verdict, in points.
        num_problems: Problems of the default selection.
        content_hash: Of the normalised rows of the main source (``harness.problems.content_hash``); None if the rows
            could not be had when the card was written.
        paper_key: Column of the paper's tables; None for benchmarks that the paper has not.
        hub: Hub sources, the main one first.
        local: Files below the data folder, the main one first.
        package: Installed Python package that carries the rows.
        download: Published file, for sets that are not on the hub in this form.
        columns: Field of the normalised row -> names it has in the known sources; the first one present is taken.
        rows: Rule that makes a normalised row (``harness.loaders.rows``).
        release: LiveCodeBench: release that is filtered.
        window: LiveCodeBench: first and last contest day, both included (ISO dates).
        options_seed: GPQA: seed of the fixed shuffle of the options.
        licence: Licence of the data.
        citation: What to cite.
        errata: Known faults.
        notes: Facts a reader of a score should know.
    """

    name: str
    title: str
    description: str
    answer_type: AnswerType
    grader: Literal["math", "choice", "code"]
    prompt: Prompt
    protocol: Protocol = Protocol()
    margin: float = Field(gt=0)
    num_problems: int = Field(gt=0)
    content_hash: str | None = Field(None, pattern=r"^sha256:[0-9a-f]{64}$")
    paper_key: str | None = None
    hub: tuple[Hub, ...] = ()
    local: tuple[LocalFile, ...] = ()
    package: str | None = None
    download: Download | None = None
    columns: dict[str, tuple[str, ...]]
    rows: RowRule
    release: str | None = None
    window: tuple[str, str] | None = None
    options_seed: int | None = None
    licence: str
    citation: str
    errata: tuple[Erratum, ...] = ()
    notes: tuple[str, ...] = ()

    def messages(self, problem: Problem, style: PromptStyle | None = None) -> tuple[Message, ...]:
        """What is sent for a problem: system message (if any) and prompt, or in completion style the bare prefix.

        White space at the end of the prefix goes: most vocabularies have one token for a line end with its
        indentation, which a prompt that ends in the line end keeps a model from using.
        """
        if (style or self.prompt.style) == "completion":
            return ({"role": "user", "content": (problem.prefix or problem.prompt).rstrip()},)
        system = ({"role": "system", "content": self.prompt.system},) if self.prompt.system else ()
        return (*system, {"role": "user", "content": problem.prompt})


def card_names() -> list[str]:
    """Names of the benchmarks that come with ringlite, in alphabetical order."""
    return sorted(path.parent.name for path in _cards_root().glob("*/card.yaml"))


def load_card(name_or_path: str | Path) -> Card:
    """Loads a card by benchmark name, or from a file or folder of one's own (anything with a slash or ``.yaml``).

    Raises:
        UsageError: No such benchmark (with the nearest name), or the card is malformed (with file and key).
    """
    text = str(name_or_path)
    if text in card_names():
        return load_yaml(Card, _cards_root() / text / "card.yaml", "card")
    if isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        return load_yaml(Card, path / "card.yaml" if path.is_dir() else path, "card")
    hint = nearest(text, card_names()) or f"; known: {', '.join(card_names())}"
    raise UsageError(f"unknown benchmark '{text}'{hint}")


def _cards_root() -> Path:
    return Path(str(importlib.resources.files("benchmarks")))
