"""Protocol diff: every field that decides what a score measures, ours against a published one's or another run's."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.card import Card
from harness.errors import UsageError, nearest
from harness.published import Published

State = Literal["same", "differs", "not stated", "not recorded"]

# Name of the field -> what it says. Data fields of a manifest (release, window, ...) come on top under their own names.
FIELDS: dict[str, str] = {
    "problems": "problems that were asked",
    "limit": "only the first so many problems",
    "data": "content hash of the problems",
    "prompt": "prompt template",
    "system_prompt": "system message",
    "prompt_style": "chat or completion",
    "prompt_variant": "variant of the card's prompt",
    "rendered_prompts": "hash of all rendered prompts",
    "chat_template": "hash of the chat template",
    "shots": "examples in the prompt",
    "temperature": "sampling temperature",
    "top_p": "nucleus",
    "top_k": "most likely tokens kept",
    "max_tokens": "cap on the generated tokens",
    "stop": "stop strings",
    "scorer": "what decides right and wrong",
    "scorer_version": "its versions",
    "engine": "inference engine",
    "engine_version": "its version",
    "dtype": "number format",
}
_NONE_IS_A_VALUE = frozenset({"limit", "max_tokens", "prompt", "system_prompt", "window"})
# Another set of problems cannot be excused: the published figure says nothing about it.
NEVER_ACCEPTED = frozenset({"problems", "limit"})


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """One field of the two protocols.

    Attributes:
        field: Its name, as ``--accept`` takes it.
        ours: Our value.
        theirs: The other side's value; None where it is not stated.
        state: "same", "differs", "not stated" (by the other side), "not recorded" (by ours, though theirs states it).
        accepted: The user accepts the difference.
    """

    field: str
    ours: Any
    theirs: Any
    state: State
    accepted: bool = False

    @property
    def blocks(self) -> bool:
        """Whether this field makes the two scores not comparable."""
        return self.state in ("differs", "not recorded") and not self.accepted

    def __str__(self) -> str:
        if self.state == "not recorded":
            return f"{self.field} not recorded for these samples, {brief(self.theirs)} there"
        return f"{self.field} {brief(self.ours)} here, {brief(self.theirs)} there"


def run_protocol(manifest: Mapping[str, Any], task: str, scorer: str) -> dict[str, Any]:
    """The protocol of one task of a run, flat: field -> value, None where the manifest does not know it."""
    entry = manifest["tasks"][task]
    sampling, prompt = entry.get("sampling") or {}, entry.get("prompt") or {}
    extent = entry.get("extent", {})
    data, engine = dict(entry.get("data", {})), dict(manifest.get("engine", {}))
    engine.pop("tasks", None)  # names which part of a generations file was read, not how it was made
    flat: dict[str, Any] = {
        "problems": extent.get("num_problems"),
        "limit": extent.get("limit") if extent.get("num_problems") != extent.get("total_problems") else None,
        "data": data.pop("hash", None) or data.pop("content_hash", None),
        "prompt": prompt.get("template"),
        "system_prompt": prompt.get("system"),
        "prompt_style": prompt.get("style"),
        "prompt_variant": prompt.get("variant"),
        "rendered_prompts": prompt.get("rendered_hash"),
        "chat_template": manifest.get("model", {}).get("chat_template_hash"),
        "shots": entry.get("shots", 0),
        **{
            name: sampling[name] for name in ("temperature", "top_p", "top_k", "max_tokens", "stop") if name in sampling
        },
        "scorer": scorer,
        "scorer_version": entry.get("scorers", {}).get(scorer),
        "engine": engine.pop("name", None),
        "engine_version": engine.pop("version", None),
        "dtype": engine.pop("dtype", None),
    }
    for prefix, rest in (("data", data), ("engine", engine)):
        for name, value in _flatten(rest):
            flat[name if name not in flat and prefix == "data" else f"{prefix}.{name}"] = value
    return {name: _plain(value) for name, value in flat.items()}


def published_protocol(published: Published, card: Card) -> dict[str, Any]:
    """What a source states; ``prompt: card`` stands for the prompt of the card."""
    stated = dict(published.protocol)
    if stated.get("prompt") == "card":
        chat = card.prompt.style == "chat"
        stated.update(
            prompt=card.prompt.template if chat else None,
            system_prompt=card.prompt.system,
            prompt_style=card.prompt.style,
        )
    stated["problems"] = published.problems or card.num_problems
    stated["limit"] = None
    if card.content_hash is not None:
        stated["data"] = card.content_hash
    return {name: _plain(value) for name, value in stated.items()}


def against_published(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], accept: Iterable[str] = ()
) -> list[FieldComparison]:
    """Compares a run with what a source states; what it leaves open is shown and does not block."""
    accepted = set(accept)
    result = []
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        mine = ours.get(name)
        if name not in theirs:
            state: State = "not stated"
        elif _equal(mine, theirs[name]):
            state = "same"
        else:
            unknown = mine is None and not (name in ours and name in _NONE_IS_A_VALUE)
            state = "not recorded" if unknown else "differs"
        result.append(_comparison(name, mine, theirs.get(name), state, accepted))
    return result


def against_run(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], accept: Iterable[str] = ()
) -> list[FieldComparison]:
    """Compares two runs: every field has to agree."""
    accepted = set(accept)
    names = [*ours, *(name for name in theirs if name not in ours)]
    return [
        _comparison(
            name,
            ours.get(name),
            theirs.get(name),
            "same" if _equal(ours.get(name), theirs.get(name)) else "differs",
            accepted,
        )
        for name in names
    ]


def check_accept(accept: Iterable[str], known: Iterable[str]) -> None:
    """Refuses names that ``--accept`` does not know.

    Raises:
        UsageError: With the nearest name, or the reason why the field can never be accepted.
    """
    names = set(known)
    for name in accept:
        if name in NEVER_ACCEPTED:
            raise UsageError(f"--accept {name}: a score over other problems says nothing about the published one")
        if name not in names:
            raise UsageError(f"--accept {name}: no such field{nearest(name, names) or f'; known: {sorted(names)}'}")


def show(value: Any, most: int = 60) -> str:
    """A value on one line, cut to ``most`` characters."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def brief(value: Any) -> str:
    """A value as a sentence takes it: hashes by their first digits, texts by their first words."""
    text = show(value, 40)
    return f"{text.removeprefix('sha256:')[:8]}…" if text.startswith("sha256:") else text


def _comparison(name: str, ours: Any, theirs: Any, state: State, accepted: set[str]) -> FieldComparison:
    excused = name in accepted and name not in NEVER_ACCEPTED and state in ("differs", "not recorded")
    return FieldComparison(name, ours, theirs, state, excused)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(a, bool):
        return float(a) == float(b)
    return bool(a == b)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.strip() if isinstance(value, str) else value


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flatten(item, prefix)
        else:
            yield f"{prefix}{name}", item
