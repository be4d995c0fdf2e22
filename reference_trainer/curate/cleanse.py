"""Cleansing: rows that cannot be asked as text, have no single verifiable answer, or can be guessed."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from reference_trainer.curate.recipe import Cleanse, Rule
from reference_trainer.curate.row import Decision, Row

_IMAGE = re.compile(
    r"!\[[^\]]*\]\(|<img\b|\\includegraphics|\[asy\]|\[img|<image|\.(?:png|jpe?g|gif|svg|webp)\b"
    r"|\b(?:figure|diagram|picture|image|graph|drawing)\s+(?:is\s+)?(?:shown|given|provided|below|above)\b"
    r"|\b(?:shown|depicted|pictured|illustrated)\s+(?:here|below|above|in\s+the\s+(?:figure|diagram|picture|image|graph))"
    r"|\b(?:in|see|from)\s+the\s+(?:figure|diagram|picture|image|drawing)\b",
    re.IGNORECASE,
)
_PARTS = tuple(
    (re.compile(rf"(?:^|\s){first}\s", re.MULTILINE), re.compile(rf"(?:^|\s){second}\s", re.MULTILINE))
    for first, second in (
        (r"\(?[aA]\)", r"\(?[bB]\)"),
        (r"\(i\)", r"\(ii\)"),
        (r"(?:^|(?<=[.;:?!\n]\s))\(1\)", r"(?:^|(?<=[.;:?!\n]\s))\(2\)"),
        (r"[Pp]art\s+(?:[aA1I])\b[.:)]?", r"[Pp]art\s+(?:[bB2]|II)\b[.:)]?"),
    )
)
_OPTIONS = re.compile(
    r"(?:^|\s|\{|\$)\(?A\s*[).:}].{0,400}?(?:^|\s|\{|\$)\(?B\s*[).:}].{0,400}?(?:^|\s|\{|\$)\(?C\s*[).:}]",
    re.DOTALL | re.MULTILINE,
)
_WHICH = re.compile(
    r"\b(?:which|what|select|choose)\b.{0,30}\bof\s+the\s+(?:following|options|choices)\b", re.IGNORECASE
)
_TRUE_FALSE = re.compile(r"\btrue\s+or\s+false\b|\btrue/false\b", re.IGNORECASE)
_PROOF = re.compile(r"^\s*(?:\W*\d+\W+)?(?:prove|show|demonstrate)\s+that\b", re.IGNORECASE)
_WRAPPER = re.compile(r"\\(?:boxed|text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_NO_ANSWER = {
    "", "n/a", "na", "none", "null", "nan", "unknown", "no answer", "not available", "see solution", "see above", "-",
    "?", "proof", "proof omitted", "see proof", "omitted", "...",
}  # fmt: skip


def cleanse(rows: Iterable[Row], settings: Cleanse) -> Iterator[Decision]:
    """Drops a row for the first rule that it breaks, in the order of ``settings.rules``."""
    for row in rows:
        yield Decision(row, next((rule for rule in settings.rules if _BROKEN[rule](row)), None))


def _invalid_characters(row: Row) -> bool:
    """Replacement characters, lone surrogates, controls, private use: text that was decoded wrongly."""
    text = f"{row['question']}{row['answer'] if isinstance(row['answer'], str) else ''}"
    return any(
        c == "\ufffd" or (unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and c not in "\n\t\r") for c in text
    )


def _image(row: Row) -> bool:
    return bool(_IMAGE.search(row["question"])) or any(row.get(name) for name in ("image", "images"))


def _multi_part(row: Row) -> bool:
    # Options are lettered too; they are the business of another rule.
    if _OPTIONS.search(row["question"]):
        return False
    return any(one.search(row["question"]) and other.search(row["question"]) for one, other in _PARTS)


def _no_answer(row: Row) -> bool:
    answer = row["answer"]
    if answer is None and row.get("gold") is None:
        return True
    if isinstance(answer, list):
        return not answer or not all(isinstance(part, str) and part.strip() for part in answer)
    return (_plain(answer) in _NO_ANSWER and row.get("gold") is None) or bool(_PROOF.search(row["question"]))


def _multiple_choice(row: Row) -> bool:
    letter = isinstance(row["answer"], str) and re.fullmatch(r"\(?[a-e]\)?", _plain(row["answer"])) is not None
    options = any(row.get(name) for name in ("options", "choices"))
    upper = letter and any(c in "ABCDE" for c in row["answer"])
    return options or bool(_OPTIONS.search(row["question"]) or _WHICH.search(row["question"])) or upper


def _true_false(row: Row) -> bool:
    return _plain(row["answer"]) in ("true", "false") or bool(_TRUE_FALSE.search(row["question"]))


def _yes_no(row: Row) -> bool:
    return _plain(row["answer"]) in ("yes", "no")


def _plain(answer: object) -> str:
    """The answer without boxes, text macros, dollar signs and end punctuation, in lower case."""
    text = "" if answer is None else str(answer).strip()
    while (inner := _WRAPPER.sub(r"\1", text)) != text:
        text = inner
    return text.replace("$", "").strip(" .\n\t*").casefold()


_BROKEN: dict[Rule, Callable[[Row], bool]] = {
    "invalid_characters": _invalid_characters,
    "image": _image,
    "multi_part": _multi_part,
    "no_answer": _no_answer,
    "multiple_choice": _multiple_choice,
    "true_false": _true_false,
    "yes_no": _yes_no,
}
