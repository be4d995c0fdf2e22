"""One rule a benchmark family: the raw rows of any known source -> normalised rows.

The rules own what a column cannot say: stable ids, the form of an answer, the fixed order of options. They raise
``UsageError`` with the id or the position of the row that does not fit.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from harness.card import Card
from harness.errors import UsageError
from harness.loaders.gpqa import LETTERS, shuffled
from harness.loaders.read import RawRow
from harness.loaders.row import Row
from harness.loaders.rows_code import evalplus, humaneval, livecodebench

_CONTESTS = ("I", "II")
_AIME_PLACE = re.compile(r"(?:AIME[ _]?|^|-|_)(II|I)(?:_Problems/Problem_|[-_ ])(\d{1,2})(?!\d)")


def column(card: Card, raw: RawRow, field: str, number: int, default: Any = ...) -> Any:
    """Value of the first column that the card names for ``field``; without ``default`` a missing column raises."""
    for name in card.columns.get(field, ()):
        if raw.get(name) is not None:
            return raw[name]
    if default is not ...:
        return default
    raise UsageError(
        f"{card.name}: row {number} has none of the columns {', '.join(card.columns.get(field, ()))} for '{field}'; "
        f"it has {', '.join(raw)}"
    )


def aime(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """AIME: ids such as ``I-7`` from a URL or id that names contest and number, else from the position of the row.

    Answers are integers from 0 to 999; leading zeros and a degree sign are dropped.
    """
    raws = list(rows)
    named = [_aime_place(card, raw, number) for number, raw in enumerate(raws, 1)]
    by_position = [f"{contest}-{number}" for contest in (order or _CONTESTS) for number in range(1, 16)]
    if len(set(named)) < len(raws) or None in named:
        if len(raws) != len(by_position):
            raise UsageError(
                f"{card.name}: {len(raws)} rows instead of {len(by_position)}, and their ids do not say which problem "
                "of which contest they are"
            )
        named = list(by_position)
    result = []
    for number, (place, raw) in enumerate(zip(named, raws, strict=True), 1):
        text = str(column(card, raw, "answer", number)).strip().replace("$", "")
        text = re.sub(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree)$", "", text)
        if not re.fullmatch(r"[0-9]{1,3}", text):
            raise UsageError(f"{card.name}, {place}: the answer {text[:40]!r} is not an integer from 0 to 999")
        question = str(column(card, raw, "question", number)).strip()
        gold = str(int(text))
        contest = str(place).partition("-")[0]
        result.append(Row(str(place), question, gold, gold, metadata={"contest": contest}))
    return sorted(result, key=lambda row: (row.id.partition("-")[0], int(row.id.partition("-")[2])))


def _aime_place(card: Card, raw: RawRow, number: int) -> str | None:
    for name in card.columns.get("id", ()):
        found = _AIME_PLACE.search(str(raw.get(name) or ""))
        if found:
            return f"{found[1]}-{int(found[2])}"
    return None


def math500(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """MATH-500: as it comes."""
    result = []
    for number, raw in enumerate(rows, 1):
        gold = str(column(card, raw, "answer", number)).strip()
        metadata: dict[str, Any] = {name: raw[name] for name in ("subject", "level") if name in raw}
        question = str(column(card, raw, "question", number)).strip()
        result.append(Row(str(column(card, raw, "id", number)), question, gold, gold, metadata=metadata))
    return result


def minerva(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """MinervaMath: the answer is a column, or else the last box of the reference solution."""
    result = []
    for number, raw in enumerate(rows, 1):
        identity = str(column(card, raw, "id", number, default=number - 1))
        gold = column(card, raw, "answer", number, default=None)
        if gold is None:
            gold = last_box(str(column(card, raw, "solution", number)))
        if gold is None:
            raise UsageError(f"{card.name}, {identity}: the reference solution has no \\boxed{{}}")
        question = str(column(card, raw, "question", number)).strip()
        metadata = {"course": raw["type"]} if raw.get("type") else {}
        result.append(Row(identity, question, str(gold).strip(), str(gold).strip(), metadata=metadata))
    return result


def last_box(text: str) -> str | None:
    r"""Content of the last ``\boxed{...}`` with balanced braces, or None. Linear in the length of the text."""
    start = text.rfind("\\boxed")
    opening = text.find("{", start) if start >= 0 else -1
    if opening < 0 or text[start + len("\\boxed") : opening].strip():
        return None
    depth = 0
    for place in range(opening, len(text)):
        escaped = text[place - 1] == "\\"
        depth += (text[place] == "{" and not escaped) - (text[place] == "}" and not escaped)
        if depth == 0:
            return text[opening + 1 : place].strip()
    return None


def olympiad(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """OlympiadBench: gold is the list of final answers; type, unit, error and multiplicity are metadata."""
    result = []
    for number, raw in enumerate(rows, 1):
        identity = str(column(card, raw, "id", number))
        answers = column(card, raw, "answer", number)
        gold = [str(answer).strip() for answer in (answers if isinstance(answers, list) else [answers])]
        if not gold or not all(gold):
            raise UsageError(f"{card.name}, {identity}: no final answer")
        question = str(column(card, raw, "question", number)).strip()
        if raw.get("context"):
            question = f"{str(raw['context']).strip()}\n{question}"
        metadata = {name: raw.get(name) for name in ("subfield", "answer_type", "unit", "error")}
        metadata["is_multiple_answer"] = bool(raw.get("is_multiple_answer"))
        hashed = [gold, metadata["answer_type"], metadata["unit"], metadata["error"], metadata["is_multiple_answer"]]
        result.append(Row(identity, question, gold, hashed, metadata=metadata))
    return result


def livemath(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """LiveMathBench and CNMO: rows carry no id, so it is configuration and position; two languages are one cluster."""
    result: list[Row] = []
    seen: dict[str, int] = {}
    for number, raw in enumerate(rows, 1):
        config = str(raw.get("__config__") or card.name)
        position = seen[config] = seen.get(config, 0) + 1
        gold = column(card, raw, "answer", number)
        gold = [str(part).strip() for part in gold] if isinstance(gold, list) else str(gold).strip()
        question = str(column(card, raw, "question", number)).strip()
        options = raw.get("options") or []
        if options:
            question = f"{question}\n{' '.join(str(option) for option in options)}"
        exam, _, language = config.rpartition("_")
        metadata = {
            "cluster": f"{exam or config}-{position}",
            "exam": exam,
            "language": language,
            "question_type": raw.get("question_type"),
        }
        result.append(Row(f"{config}-{position}", question, gold, gold, metadata=metadata))
    return result


def gpqa(card: Card, rows: Iterable[RawRow], order: tuple[str, ...]) -> list[Row]:
    """GPQA: the four options in the fixed order of the card's seed; gold is the letter of the correct one."""
    seed = card.options_seed or 0
    result = []
    for number, raw in enumerate(rows, 1):
        record = str(column(card, raw, "id", number)).strip()
        question = str(column(card, raw, "question", number)).strip()
        names = ("correct", "incorrect1", "incorrect2", "incorrect3")
        options = [str(column(card, raw, name, number)).strip() for name in names]
        if not all(options):
            raise UsageError(f"{card.name}, {record}: an option is empty")
        placed, gold = shuffled(options, seed, record)
        fields = dict(zip(LETTERS, placed, strict=True))
        metadata = {"domain": raw.get("High-level domain"), "subdomain": raw.get("Subdomain")}
        result.append(Row(record, question, gold, options, fields=fields, metadata=metadata))
    return result


RULES: dict[str, Callable[[Card, Iterable[RawRow], tuple[str, ...]], list[Row]]] = {
    "aime": aime,
    "math500": math500,
    "minerva": minerva,
    "olympiad": olympiad,
    "livemath": livemath,
    "gpqa": gpqa,
    "humaneval": humaneval,
    "evalplus": evalplus,
    "livecodebench": livecodebench,
}
