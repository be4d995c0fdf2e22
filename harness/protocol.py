"""What was asked, of which model, under which conditions: the task hash, the manifest, and what keeps two runs apart.

``manifest.json`` of a run folder::

    schema_version, ringlite (version), created (ISO time)
    model     name and what identifies the weights, tokenizer and chat template
    engine    name, version and whatever else changes the text that is sampled (dtype, prompt style)
    seed      of the run; every sample's own seed is derived from it
    tasks     task hash -> {benchmark, data, prompt, sampling: hashed;
                            extent {n, limit, num_problems, total_problems}, scorers, source: may change}
    sessions  one entry a start of the command: started, host facts (threads, device, versions, batch size)

A folder holds one model, one engine and one seed, and one protocol a benchmark. More samples (``n``), more problems
(``limit``), more scorers and more benchmarks may be added to it at any time: what is there is kept.
"""

import datetime
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from harness.card import Card, PromptStyle
from harness.errors import UsageError
from harness.problems import Loaded
from harness.types import Problem, Request, SamplingParams

# Fields of a task that two runs may differ in without sampling anything else.
_OPEN_FIELDS = ("extent", "scorers", "source")


@dataclass(frozen=True)
class Task:
    """One benchmark as it is asked in one run.

    Attributes:
        card: The benchmark.
        loaded: Its problems, all of them, and where they came from.
        params: How each is sampled; None: generations of unknown origin.
        n: Samples a problem.
        style: "chat", or "completion" (the model continues the bare prompt).
        variant: Name of the prompt variant; None: the card's own choice.
        limit: First problems only; None: all.
    """

    card: Card
    loaded: Loaded
    params: SamplingParams | None
    n: int
    style: PromptStyle = "chat"
    variant: str | None = None
    limit: int | None = None

    @property
    def problems(self) -> Sequence[Problem]:
        """The problems that are asked."""
        return self.loaded.problems[: self.limit]

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """The hashed part: what another run has to share for its samples to count as samples of this task."""
        loaded, prompt = self.loaded, self.card.prompt
        rendered = [self.card.messages(problem, self.style) for problem in loaded.problems]
        return {
            "benchmark": self.card.name,
            "data": {"hash": loaded.content_hash, "tests_hash": loaded.tests_hash, **_plain(loaded.selection)},
            "prompt": {
                "style": self.style,
                "variant": self.variant,
                "template": None
                if self.style == "completion"
                else prompt.variants.get(self.variant or "", prompt.template),
                "system": prompt.system,
                "rendered_hash": digest(rendered)[:16],
            },
            "sampling": _plain(asdict(self.params)) if self.params else {},
        }

    @cached_property
    def hash(self) -> str:
        """16 hex digits that name the task."""
        return digest(self.protocol)[:16]

    def entry(self, scorers: Mapping[str, Any]) -> dict[str, Any]:
        """The task's entry in the manifest; ``scorers``: name -> versions and switches of what decides."""
        extent = {
            "n": self.n,
            "limit": self.limit,
            "num_problems": len(self.problems),
            "total_problems": len(self.loaded.problems),
        }
        source = {**_plain(asdict(self.loaded.source)), "expected_hash": self.loaded.expected_hash}
        return {**self.protocol, "extent": extent, "scorers": _plain(scorers), "source": source}

    def requests(self, run_seed: int) -> Iterator[Request]:
        """Yields one request a sample, problem by problem."""
        for problem in self.problems:
            messages = self.card.messages(problem, self.style)
            for index in range(self.n):
                seed = sample_seed(run_seed, self.hash, problem.id, index)
                yield Request(self.hash, problem.id, index, seed, messages, self.style)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value (sorted keys, ASCII), as hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sample_seed(run_seed: int, task: str, problem_id: str, index: int) -> int:
    """The seed of one sample, in [0, 2^31): every engine and server takes such a seed.

    It hangs on nothing but its arguments, so a resumed or widened run draws the same samples. Two samples of one
    problem share a seed with chance n^2 / 2^32 (1e-6 at n = 64).
    """
    text = json.dumps([run_seed, task, problem_id, index])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def new_manifest(model: Mapping[str, Any], engine: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A manifest without tasks and sessions."""
    return {
        "ringlite": importlib.metadata.version("ringlite"),
        "created": now(),
        "model": dict(model),
        "engine": dict(engine),
        "seed": seed,
        "tasks": {},
        "sessions": [],
    }


def now() -> str:
    """The time as ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Compares two nested mappings; returns (dotted field, recorded value, asked value) for each field that differs."""
    left, right = dict(_flatten(recorded)), dict(_flatten(asked))
    fields = [*left, *(name for name in right if name not in left)]
    return [(name, left.get(name), right.get(name)) for name in fields if left.get(name) != right.get(name)]


def merge(recorded: Mapping[str, Any] | None, asked: Mapping[str, Any], folder: object) -> dict[str, Any]:
    """Returns the manifest that covers what the folder holds and what is asked now.

    Args:
        recorded: The folder's manifest; None for a new folder.
        asked: A manifest of this run, with its tasks and one session.
        folder: Named in the error.

    Raises:
        UsageError: They are different models, engines, seeds or protocols; the message names the first field.
    """
    if recorded is None:
        return dict(asked)
    for part in ("model", "engine"):
        _refuse(differences(recorded[part], asked[part]), f"another {part}", folder)
    _refuse(differences({"seed": recorded["seed"]}, {"seed": asked["seed"]}), "another seed", folder)
    for entry in asked["tasks"].values():
        for old in recorded["tasks"].values():
            if old["benchmark"] == entry["benchmark"]:
                found = differences(_closed(old), _closed(entry))
                _refuse(found, f"another protocol of {entry['benchmark']}", folder)
    merged = {**recorded, "tasks": {**recorded["tasks"]}}
    for name, entry in asked["tasks"].items():
        scorers = {**recorded["tasks"].get(name, {}).get("scorers", {}), **entry["scorers"]}
        merged["tasks"][name] = {**entry, "scorers": scorers}
    merged["sessions"] = [*recorded["sessions"], *asked["sessions"]]
    return merged


def _plain(value: Any) -> Any:
    """The value as it comes back from a JSON file."""
    return json.loads(json.dumps(value))


def _closed(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in _OPEN_FIELDS}


def _refuse(found: list[tuple[str, Any, Any]], what: str, folder: object) -> None:
    if not found:
        return
    name, old, new = found[0]
    also = f" (also different: {', '.join(other for other, _, _ in found[1:4])})" if len(found) > 1 else ""
    raise UsageError(
        f"the run folder {folder} holds {what}: {name} was {_show(old)} and is {_show(new)} now{also}; "
        "choose another with --out, or give the same options again"
    )


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flatten(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(item) if isinstance(item, tuple) else item
