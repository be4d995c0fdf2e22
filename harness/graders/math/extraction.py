"""From a response to the one answer that it declares, or none.

The text after the last ``</think>`` counts. The last box is the answer; boxes close together are joined when they are
the parts of one answer. Without a box an explicit statement counts ("The answer is", ``<answer>``, a last line that is
a result). "Any number in the text" never does.
"""

import re

from harness.graders.math.answer import Extracted
from harness.graders.math.boxes import Box, find_boxes
from harness.graders.math.statements import find_statement

_PLACEHOLDER = re.compile(
    r"^(?:\\text\w*\s*\{)?\s*(?:your |the |final |my )*(?:answer|result|solution|\.{2,3}|\\[lc]?dots|…|_+|\?+)?"
    r"(?: here)?\s*\}?$",
    re.IGNORECASE,
)


def is_placeholder(content: str) -> bool:
    """Whether a box holds nothing, or the prompt's own words ("your answer", "...")."""
    return _PLACEHOLDER.match(content) is not None


_JOINT = re.compile(
    r"(?:[\s$,;、，；和或及]|\\[()\[\],;!]|\\q?quad|\\text\s*\{\s*,?\s*(?:and|or)\s*,?\s*\}|(?:and|or)(?![a-zA-Z])|&"
    r"|(?<![a-zA-Z\\])[a-zA-Z](?:_\{?\w\}?)?\s*=(?!=))*",
)
_MAX_JOINT = 48
_OPENING = re.compile(r"<think(?:ing)?>")
_PERCENT = re.compile(r"\s*\\?%")


def visible(response: str, *, prefilled: bool = False) -> str | None:
    """Returns the text outside the thinking, or None when the thinking never ends.

    Args:
        response: What the model wrote.
        prefilled: Whether the prompt already opened the thinking: a response without ``</think>`` is then all thought.
    """
    closed = response.rfind("</think")
    opened = response.find("<think", max(closed, 0))
    if opened >= 0 and _OPENING.search(response, opened):
        return None
    if closed < 0:
        return None if prefilled else response
    end = response.find(">", closed)
    return response[end + 1 :] if end >= 0 else ""


def _parts(text: str, boxes: list[Box]) -> list[Box]:
    """The last box with the boxes right before it that are parts of the same answer."""
    parts = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        between = text[box.end : parts[0].start]
        if len(between) > _MAX_JOINT or _JOINT.fullmatch(between) is None:
            break
        parts.insert(0, box)
    return parts


def _without_inner_boxes(content: str) -> str:
    for _ in range(8 if "box" in content else 0):
        inner = find_boxes(content)
        if not inner:
            break
        content = content[: inner[0].start] + " " + inner[0].content + " " + content[inner[0].end :]
    return content.strip()


def _filled(boxes: list[Box]) -> list[Box]:
    return [box for box in boxes if not is_placeholder(box.content)]


def extract(response: str, *, boxes_only: bool = False, prefilled: bool = False) -> Extracted | None:
    """Returns the answer that a response declares, or None.

    Args:
        response: What the model wrote.
        boxes_only: The reward mode: nothing but a closed box counts.
        prefilled: See ``visible``.
    """
    text = visible(response, prefilled=prefilled)
    if text is None:
        return None
    boxes = _filled(find_boxes(text, repair=not boxes_only, near=True))
    if not boxes:
        boxes = _filled(find_boxes(text, repair=not boxes_only))
    if not boxes:
        return None if boxes_only else find_statement(text)
    parts = _parts(text, boxes)
    contents = list(dict.fromkeys(_without_inner_boxes(part.content) for part in parts))
    answer = ", ".join(contents)
    if _PERCENT.match(text, parts[-1].end) and "%" not in answer:
        answer += "\\%"
    return Extracted(answer, "box" if len(contents) == 1 else "boxes")
