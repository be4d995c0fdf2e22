"""How an answer is put together: one value, several values, a tuple, a set. Text in, parts out."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Shape = Literal["single", "list", "tuple", "set"]

MAX_PARTS = 64

_AND_OR = re.compile(
    r",?\s*\\(?:text|mathrm|mbox|textrm|quad\s*\\text)\s*\{\s*,?\s*(?:and|or|und)\s*,?\s*\}\s*|,?\s*(?<![a-zA-Z\\{])(?:and|or)(?![a-zA-Z}])\s*"
    r"|\s*(?:和|或者|或|以及|及)\s*|\\(?:vee|lor|land|wedge)(?![a-zA-Z])"
)
_COMMA_NUMBER = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_OPEN = {"(": ")", "[": "]", "{": "}"}
_LABEL = re.compile(
    r"^\s*(?:\(?[a-zA-Z](?:_\{?\w+\}?)?(?:\s*,\s*[a-zA-Z](?:_\{?\w+\}?)?)+\)?)\s*(?:=|\\in)\s*(?=\(|\\\{|[-\\0-9])"
)
_MEMBER = re.compile(r"^\s*\\?[a-zA-Z]+(?:_\{?\w+\}?)?\s*(?:\\in\s*(?=[(\[\\-])|=\s*(?=\\\{))")
_POINT = re.compile(r"^(?:[A-Z]'?|\\text\s*\{[^{}]*\}|\\mathrm\s*\{[^{}]*\})\s*(?:=\s*|:\s*)?(?=\()")
_PM = re.compile(r"\\(pm|mp)(?![a-zA-Z])")


@dataclass(frozen=True, slots=True)
class Parts:
    """An answer's shape and its parts; a single value is its own only part."""

    shape: Shape
    items: tuple[str, ...]


def split_top(text: str, separators: str = ",;") -> list[str]:
    """Splits at separators that stand outside all brackets."""
    parts, depth, start, position = [], 0, 0, 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            if text[position + 1] in "{}":
                depth += 1 if text[position + 1] == "{" else -1
            position += 2
            continue
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif depth == 0 and character in separators:
            parts.append(text[start:position].strip())
            start = position + 1
        position += 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _enclosed(text: str, opening: str, closing: str) -> str | None:
    """Returns what one pair of brackets around the whole text encloses."""
    if not (text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing)):
        return None
    depth, position = 0, 0
    while position < len(text):
        if text.startswith(opening, position):
            depth += 1
            position += len(opening)
            continue
        if text.startswith(closing, position):
            depth -= 1
            if depth == 0 and position + len(closing) < len(text):
                return None
            position += len(closing)
            continue
        position += 2 if text[position] == "\\" else 1
    return text[len(opening) : -len(closing)].strip() if depth == 0 else None


def _plus_minus(text: str) -> list[str]:
    """Writes out one ``\\pm``: both values."""
    signs = _PM.findall(text)
    if not signs:
        return [text]
    plus = _PM.sub(lambda m: "+" if m.group(1) == signs[0] else "-", text)
    minus = _PM.sub(lambda m: "-" if m.group(1) == signs[0] else "+", text)
    return [re.sub(r"^\s*\+\s*", "", re.sub(r"=\s*\+", "=", part)) for part in (plus, minus)]


def _expand(items: list[str]) -> tuple[str, ...]:
    return tuple(value for item in items for value in _plus_minus(item))


@lru_cache(maxsize=8192)
def read_parts(text: str, several: bool = False) -> Parts:
    """Returns the parts of a cleaned answer.

    Args:
        text: The answer.
        several: Whether it is known to be several values, so that ``100,200`` is two numbers and not 100200.
    """
    text = _MEMBER.sub("", _LABEL.sub("", text))
    if _COMMA_NUMBER.fullmatch(text) and not several:
        return Parts("single", (text,))
    if "\\begin" in text or len(text) > 2_000:
        return Parts("single", (text,))
    items = split_top(_AND_OR.sub(" , ", text))
    if len(items) > MAX_PARTS:
        return Parts("single", (text,))
    if len(items) > 1:
        return Parts("list", _expand(items))
    inner = _enclosed(text, "\\{", "\\}")
    if inner == "":
        return Parts("single", ("\\emptyset",))
    if inner is not None and not re.search(r"\\mid|\||:", inner):
        return Parts("set", _expand(split_top(inner)))
    point = _POINT.match(text)
    inner = _enclosed(text[point.end() :] if point and "," in text else text, "(", ")")
    if inner is not None:
        items = split_top(inner)
        if len(items) > 1:
            return Parts("tuple", tuple(items))
        if len(items) == 1:
            return read_parts(items[0], several)
    expanded = _plus_minus(text)
    return Parts("list" if len(expanded) > 1 else "single", tuple(expanded))
