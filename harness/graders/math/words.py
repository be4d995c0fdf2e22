"""Answers that are words, option letters or times of day."""

import re
from dataclasses import dataclass

from harness.graders.math.forms import unwrap

_WRAPPERS = re.compile(
    r"\\(?:text\w*|math(?:rm|bf|it|sf)|mbox|hbox|operatorname|textbf|quad|,|;)\s*|[{}$~*`]|\\(?=\s|$)"
)
_WORD = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ .,'’\-]*")
_PHRASE = re.compile(r"[A-Za-zÀ-ÿ]{2,}[A-Za-zÀ-ÿ0-9 .,:'’\-]*")
_IN_TEXT = re.compile(r"\\(?:text\w*|mbox|hbox|mathrm|mathbf|textbf|operatorname)\s*\{")
_LETTER = re.compile(r"\(?\s*([A-Za-z])\s*\)?\.?")
_LETTER_AND_MORE = re.compile(r"\(?\s*([A-Z])\s*[).:]\s*\S.*", re.DOTALL)
_TIME = re.compile(r"([0-9]{1,2})\s*:\s*([0-5][0-9])\s*(?:([ap])\.?\s*m\.?)?", re.IGNORECASE)
_FUNCTIONS = re.compile(r"^(?:sin|cos|tan|cot|sec|csc|log|ln|exp|pi|inf|infinity)$", re.IGNORECASE)


def plain(text: str) -> str:
    """Returns the words of an answer without LaTeX around them."""
    return " ".join(_WRAPPERS.sub(" ", text).split())


def word_of(raw: str, cleaned: str) -> str | None:
    """Returns the word or option letter that a gold is, or None when it is mathematics.

    Bare letters are a word from four letters on; fewer are a product of variables (``ab``), unless they stand in
    ``\\text``.
    """
    text = plain(cleaned)
    marked = _IN_TEXT.search(raw) is not None
    if marked and _LETTER.fullmatch(text):
        return text
    if marked and _PHRASE.fullmatch(text) and unwrap(raw.strip().strip("$")) != raw.strip().strip("$"):
        return text
    if _WORD.fullmatch(text) is None or _FUNCTIONS.match(text):
        return None
    if "\\" in cleaned and not marked:
        return None
    letters = sum(character.isalpha() for character in text)
    return text if letters >= (2 if marked else 4) else None


def _key(text: str) -> str:
    text = re.sub(r"[.,;:!]+", " ", text.casefold().replace("’", "'"))
    text = re.sub(r"^\s*(?:the|a|an)\s+", "", text)
    return " ".join(text.replace("-", " ").split()).strip("() ")


def same_word(gold: str, answer: str) -> bool:
    """Whether an answer is the same word or option letter, whatever the case and the LaTeX around it."""
    answer = plain(answer)
    option = _LETTER.fullmatch(gold)
    if option is not None:
        more = _LETTER_AND_MORE.fullmatch(answer)
        letter = _LETTER.fullmatch(answer) or more
        return letter is not None and letter.group(1).casefold() == option.group(1).casefold()
    return _key(gold) == _key(answer) and not answer.lstrip().startswith("-")


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day; ``half`` is "a", "p" or "" when it is not said."""

    hour: int
    minute: int
    half: str

    def same(self, other: "Time") -> bool:
        """Whether both are the same time as far as both say."""
        return (self.hour, self.minute) == (other.hour, other.minute) and (
            not self.half or not other.half or self.half == other.half
        )


def time_of_day(text: str) -> Time | None:
    """Returns the time that an answer is, or None."""
    match = _TIME.fullmatch(plain(text).rstrip())
    return Time(int(match.group(1)), int(match.group(2)), (match.group(3) or "").lower()) if match else None
