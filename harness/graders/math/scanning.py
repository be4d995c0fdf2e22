"""Math-Verify's search for the answer in a long response, at the places where it can succeed.

Math-Verify runs a dozen regular expressions over the whole response, and most of them try every position in vain: nine
tenths of its time where the response has 32,000 characters. The patterns here are Math-Verify's own and so is all that
happens to their matches (order, parsing, fallbacks: ``math_verify.parser.extract_target_from_pred``). What differs is
that a match is tried only where one can begin, which leaves the matches of ``finditer`` as they are:

1. A pattern that begins with "answer" or "final answer" matches only where that word stands. Upper and lower case are
   the same to it, and so are U+0130, U+0131 and U+017F to ``i`` and ``s``: a response with one of these is searched as
   Math-Verify does it.
2. The pattern for mathematics with a box in it matches only from an opening delimiter that reaches a ``\\boxed{``. What
   stands between the two holds no second ``$$`` (in display dollars), no ``\\]`` (in brackets), no line break (in all
   others), so the openers worth a try lie behind the last one before the box.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from math_verify.parser import (
    ExprExtractionConfig,
    LatexExtractionConfig,
    extract_target_from_pred,
    get_extraction_regexes,
    make_latex_env_pattern,
)

_BOX = "\\boxed{"
_OPENER = re.compile(r"(?=\$|\\[\[(]|\s\[)")
_BOXED = make_latex_env_pattern(prefix="first_", context="boxed")
_WORDS = ("final answer", "answer")
SPECIAL_CASES = frozenset("\u0130\u0131\u017f")
"""Characters outside ASCII that a pattern without regard to case takes for a letter of the words."""


class WordPattern:
    """A pattern that begins with a word, in any case."""

    def __init__(self, pattern: re.Pattern[str], word: str) -> None:
        self._pattern, self._word = pattern, word

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """The matches that ``re.Pattern.finditer`` finds."""
        if not text.isascii() and not SPECIAL_CASES.isdisjoint(text):
            yield from self._pattern.finditer(text)
            return
        lowered = _lowered(text)
        place = lowered.find(self._word)
        while place >= 0:
            match = self._pattern.match(text, place)
            if match is not None:
                yield match
            place = lowered.find(self._word, place + 1 if match is None else match.end())


class BoxPattern:
    """The pattern for mathematics between delimiters with a box in it."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """The matches that ``re.Pattern.finditer`` finds."""
        start = 0
        box = text.find(_BOX)
        while box >= 0:
            match = self._reaching(text, max(start, _first_opener(text, box)), box)
            if match is not None:
                yield match
            start = box + 1 if match is None else match.end()
            box = text.find(_BOX, start)

    def _reaching(self, text: str, start: int, box: int) -> re.Match[str] | None:
        tried = (self._pattern.match(text, opener.start()) for opener in _OPENER.finditer(text, start, box))
        return next((match for match in tried if match is not None), None)


def _first_opener(text: str, box: int) -> int:
    """The first place before ``box`` where a delimiter may open whose content reaches it."""
    line = max(text.rfind("\n", 0, box), 0)
    dollars = text.rfind("$$", 0, box)  # only ``$$$`` has another one at its second character
    bracket = text.find("\\[", max(text.rfind("\\]", 0, box), 0), box)
    return min(place for place in (line, dollars - 1 if dollars > 0 else dollars, bracket) if place >= 0)


@lru_cache(maxsize=1)
def _lowered(text: str) -> str:
    return text.lower()


def _narrowed(pattern: re.Pattern[str]) -> Any:
    source = pattern.pattern
    for word in _WORDS:
        if source.startswith((f"(?i:{word} is)", f"(?i:{word}.", f"(?i:{word})")):
            return WordPattern(pattern, word)
    return BoxPattern(pattern) if source.startswith(_BOXED) else pattern


@lru_cache(maxsize=1)
def _targets() -> list[tuple[list[tuple[Any, int]], Any]]:
    original = get_extraction_regexes((LatexExtractionConfig(), ExprExtractionConfig()))
    return [([(_narrowed(pattern), priority) for pattern, priority in patterns], kind) for patterns, kind in original]


def parse_response(text: str) -> list[Any]:
    """Returns what ``math_verify.parse`` does with its own defaults, without its alarm."""
    try:
        found: Iterable[Any] = extract_target_from_pred(text, _targets(), "first_match", "any_match")
    except Exception:  # noqa: BLE001 - as Math-Verify has it: what cannot be parsed is no answer
        return []
    return list(found)
