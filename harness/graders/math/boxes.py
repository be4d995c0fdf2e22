"""The boxes at the end of a response, found by one linear pass over a bounded tail."""

import re
from dataclasses import dataclass

TAIL_CHARACTERS = 100_000
"""How far from the end a box may stand."""

MAX_BOXES = 24
"""How many boxes are looked at, counted from the last."""

NEAR = 1_000
"""How far before the last box its sisters (the other parts of the answer) may begin."""

MAX_CONTENT = 20_000
"""How long a box may be; far above what the limits let through."""

_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE = re.compile(r"\s{0,8}(\\[a-zA-Z]+|[0-9]+|[a-zA-Z])")
_COMMAND = re.compile(r"\\(?:boxed|fbox|framebox)(?![a-zA-Z])")
_STOPS = ("$", "\\]", "\\)", "\n")


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its content and where it stands in the text that was searched."""

    content: str
    start: int
    end: int


def close_brace(text: str, opening: int) -> int | None:
    """Returns the index of the brace that closes the one at ``opening``, or None; escaped braces do not count.

    Looks ``MAX_CONTENT`` characters far.
    """
    depth = 0
    for match in _BRACES.finditer(text, opening, opening + MAX_CONTENT):
        mark = match.group()
        if mark == "{":
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    return None


def _content(text: str, start: int, repair: bool) -> Box | None:
    """Reads the box whose command ends at ``start``."""
    bare = _BARE.match(text, start)
    if bare is not None:
        return Box(bare.group(1), start, bare.end())
    position = start + len(text[start : start + 16]) - len(text[start : start + 16].lstrip())
    if text[position : position + 1] != "{":
        return None
    end = close_brace(text, position)
    if end is not None:
        return Box(text[position + 1 : end].strip(), start, end + 1)
    line = text[position + 1 : position + MAX_CONTENT]
    stops = [stop for stop in map(line.find, _STOPS) if stop >= 0] if repair else []
    if stops:
        return Box(line[: min(stops)].strip().rstrip("."), start, position + 1 + min(stops))
    # Longer than anything that is compared: kept whole enough for the limits to refuse it.
    return Box(line, start, len(text)) if len(text) - position > MAX_CONTENT else None


def _starts(text: str, base: int, limit: int) -> list[int]:
    """Places of box commands from ``base`` on, last first, at most ``limit``."""
    starts: list[int] = []
    position = len(text)
    while len(starts) < limit:
        position = text.rfind("box", base, position)
        if position < 0:
            break
        command = max(position - 6, 0) + text[max(position - 6, 0) : position + 1].rfind("\\")
        if _COMMAND.match(text, command) and text[command] == "\\":
            starts.append(command)
    return starts


def find_boxes(text: str, *, repair: bool = True, near: bool = False) -> list[Box]:
    """Returns the outermost boxes of the tail in order of appearance, at most ``MAX_BOXES`` of the last ones.

    Args:
        text: What to search.
        repair: Whether a box whose closing brace was forgotten ends with its formula or line. A box that is cut by
            the end of the text is never an answer.
        near: Whether only the last box and those up to ``NEAR`` characters before it matter.
    """
    base = max(0, len(text) - TAIL_CHARACTERS)
    if near:
        last = _starts(text, base, 1)
        if not last:
            return []
        base = max(base, last[0] - NEAR)
    boxes: list[Box] = []
    for start in reversed(_starts(text, base, MAX_BOXES)):
        command = _COMMAND.match(text, start)
        if command is None or (boxes and start < boxes[-1].end):
            continue
        box = _content(text, command.end(), repair)
        if box is not None:
            boxes.append(Box(box.content, start, box.end))
    return boxes
