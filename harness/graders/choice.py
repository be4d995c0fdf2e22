"""Multiple choice: the letter that a response declares, and nothing that merely looks like one.

The order of trust: the last box; else the letter that is declared last ("Answer: C", "the correct option is (B)",
"选D"); else a last line that is a letter. Articles ("a force"), symbols (``\\Delta E``, ``C_{60}``), words that begin
with a letter ("Answer: Because"), negated letters ("not A") and lists of letters are no answers.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from harness.errors import UsageError
from harness.graders.choice_letters import Found, box_letter, line_letter, read_letter, simplify
from harness.graders.choice_phrases import REVERSED, STRONG, WEAK
from harness.graders.math.boxes import find_boxes
from harness.graders.math.extraction import is_placeholder, visible
from harness.types import GradeStatus

LETTERS = "ABCD"
TAIL_CHARACTERS = 6_000
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """One graded multiple-choice response.

    Attributes:
        correct: The verdict.
        status: "ok", "no_answer", or "truncated" (no answer because the response was cut).
        extracted: The letter, upper case.
        scorer: Always "choice".
        evidence: ``source``: how the letter was declared.
    """

    correct: bool
    status: GradeStatus
    extracted: str | None
    scorer: str = "choice"
    evidence: dict[str, Any] = field(default_factory=dict)


def _boxed(text: str, letters: str) -> tuple[bool, str | None]:
    """The last box: (whether it settles the matter, its letter)."""
    boxes = [box for box in find_boxes(text) if not is_placeholder(box.content)]
    if not boxes:
        return False, None
    kind, letter = box_letter(boxes[-1].content, letters)
    return kind != "other", letter


def _reversed(text: str, letters: str) -> list[tuple[int, str | None]]:
    found: list[tuple[int, str | None]] = []
    for match in REVERSED.finditer(text):
        letter = next(group for group in match.group("p", "l", "z", "y", "x") if group)
        verdict = (match.group("verdict") or match.group("zv") or match.group("xv") or "").lower()
        negative = verdict.startswith(("not", "in", "不", "错误"))
        plain = match.group("l") if not match.group("option") else None
        if letter.upper() in letters and not negative and not (plain or "A").islower():
            found.append((match.start(), letter.upper()))
    return found


def _declared(text: str, letters: str, pattern: re.Pattern[str]) -> list[tuple[int, str | None]]:
    """Declarations with their places; None where several letters are declared at once."""
    found: list[tuple[int, str | None]] = []
    for match in pattern.finditer(text):
        result: Found | None = read_letter(text, match.end(), letters)
        if result is not None:
            found.append((result.start, result.letter))
    return found


def _enumerated(lines: list[str], letter: str) -> bool:
    """Whether the last line is an item of a list ("A) ...", "B) ...") rather than a choice."""
    return len(lines) > 1 and line_letter(lines[-2], chr(ord(letter) - 1)) is not None


def extract_with_source(response: str, letters: str = LETTERS, *, prefilled: bool = False) -> tuple[str | None, str]:
    """Returns (letter or None, how it was declared)."""
    text = visible(response, prefilled=prefilled)
    if text is None:
        return None, "unfinished thinking"
    settled, letter = _boxed(text, letters)
    if settled:
        return letter, "box"
    tail = simplify(text[-TAIL_CHARACTERS:])
    for content in reversed(_TAG.findall(tail)):
        kind, letter = box_letter(content, letters)
        if kind != "other":
            return letter, "tag"
    strong = sorted(_declared(tail, letters, STRONG) + _reversed(tail, letters), key=lambda item: item[0])
    if strong:
        return strong[-1][1], "statement"
    lines = [line for line in tail.strip().splitlines() if line.strip()]
    if lines and (letter := line_letter(lines[-1], letters)) and not _enumerated(lines, letter):
        return letter, "last line"
    weak = _declared(tail, letters, WEAK)
    if weak:
        return weak[-1][1], "conclusion"
    if lines and len(text) <= TAIL_CHARACTERS and (letter := line_letter(lines[0], letters)):
        if len(lines) > 1 and line_letter(lines[1], chr(ord(letter) + 1)):
            return None, "none"
        return letter, "first line"
    return None, "none"


def extract(response: str, letters: str = LETTERS, *, prefilled: bool = False) -> str | None:
    """Returns the declared letter, upper case, or None.

    Args:
        response: What the model wrote, thinking included.
        letters: The letters that are options.
        prefilled: Whether the prompt already opened the thinking; see ``math.extraction.visible``.
    """
    return extract_with_source(response, letters, prefilled=prefilled)[0]


def grade(
    response: str, gold: object, *, truncated: bool = False, letters: str = LETTERS, prefilled: bool = False
) -> Choice:
    """Grades one response against the letter of the right option.

    Raises:
        UsageError: The gold is not one of ``letters``.
    """
    key = gold.strip().upper() if isinstance(gold, str) else ""
    if len(key) != 1 or key not in letters:
        raise UsageError(f"the gold of a multiple-choice question is one of {', '.join(letters)}, not {gold!r:.40}")
    letter, source = extract_with_source(response, letters, prefilled=prefilled)
    if letter is None:
        return Choice(False, "truncated" if truncated else "no_answer", None, evidence={"source": source})
    return Choice(letter == key, "ok", letter, evidence={"source": source})
