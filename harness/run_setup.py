"""From what a user asks for to tasks, an engine and a run folder."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.card import Card, PromptStyle, load_card
from harness.errors import UsageError
from harness.problems import LoadOptions, load
from harness.protocol import Task, digest
from harness.types import SamplingParams


@dataclass(frozen=True)
class Overrides:
    """What differs from the cards' protocol; None: the card's own value."""

    n: int | None = None
    limit: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    style: PromptStyle | None = None


def make_task(name: str, data: Path | None, options: LoadOptions, asked: Overrides) -> Task:
    """Loads a benchmark and fixes how it is asked.

    Raises:
        UsageError: Unknown benchmark, no data, or a value that makes no sense.
    """
    check(asked)
    card = load_card(name)
    style = asked.style or card.prompt.style
    loaded = load(card, data, options)
    if style == "completion" and not all(problem.prefix for problem in loaded.problems):
        raise UsageError(f"{card.name} has no text to continue: --prompt-style completion is for code completion only")
    limit = asked.limit if asked.limit is not None and asked.limit < len(loaded.problems) else None
    return Task(
        card, loaded, _params(card, style, asked), asked.n or card.protocol.n or 1, style, options.prompt, limit
    )


def check(asked: Overrides) -> None:
    """Raises ``UsageError`` for a value outside its range."""
    ranges: list[tuple[str, float | None, bool, str]] = [
        ("-n", asked.n, asked.n is None or asked.n >= 1, "1 or more"),
        ("--limit", asked.limit, asked.limit is None or asked.limit >= 1, "1 or more"),
        ("--max-tokens", asked.max_tokens, asked.max_tokens is None or asked.max_tokens >= 1, "1 or more"),
        ("--temperature", asked.temperature, asked.temperature is None or 0 <= asked.temperature <= 10, "0 to 10"),
        ("--top-p", asked.top_p, asked.top_p is None or 0 < asked.top_p <= 1, "above 0 and at most 1"),
        ("--top-k", asked.top_k, asked.top_k is None or asked.top_k >= 0, "0 (all) or more"),
    ]
    for option, value, good, allowed in ranges:
        if not good:
            raise UsageError(f"{option} {value} makes no sense: it must be {allowed}")


def _params(card: Card, style: PromptStyle, asked: Overrides) -> SamplingParams:
    params = card.protocol.sampling
    changes: dict[str, Any] = {
        name: value
        for name in ("temperature", "top_p", "top_k", "max_tokens")
        if (value := getattr(asked, name)) is not None
    }
    # Stop sequences end the continuation of a program; a chat answer would be cut in its first code block.
    return replace(params, **changes, stop=params.stop if style == "completion" else ())


def default_folder(described: Mapping[str, Any], asked: Overrides, options: LoadOptions, seed: int) -> Path:
    """``runs/<model>-<8 hex digits>``: the same model and protocol give the same folder, so the same command resumes.

    ``n``, ``limit`` and the benchmarks do not enter: a run may grow in its folder.
    """
    protocol = replace(asked, n=None, limit=None)
    facts = [described["model"], described["engine"], repr(protocol), repr(options), seed]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", str(described["model"]["name"])).strip("-.") or "model"
    return Path("runs") / f"{slug[:60]}-{digest(facts)[:8]}"


def benchmark_names(text: str) -> Sequence[str]:
    """``aime24,math500`` -> names, in order, each once.

    Raises:
        UsageError: There is none.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError("no benchmark is named; `ringlite benchmarks` lists them")
    return names
