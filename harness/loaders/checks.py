"""Is this really the benchmark? Damage that a copy can suffer, each named with the problem it hit."""

import re
from collections import Counter
from collections.abc import Sequence

from harness.card import Card
from harness.errors import UsageError
from harness.loaders.row import Row

# A backslash sequence that a JSON or Python parser has eaten: "\frac" -> form feed + "rac", "\triangle" -> tab +
# "riangle". Form feed and its like are never right; a tab can be, unless the rest of a LaTeX command follows it.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_EATEN_ESCAPE = re.compile(
    r"\t(?:riangle|ext(?:bf|it|rm|tt)?\{|imes|heta|an(?![a-z])|au(?![a-z])|frac|ilde|binom|herefore|o(?![a-z])|op\b)"
    r"|\r(?:ight|angle|ho|ightarrow)"
)


def check_rows(card: Card, rows: Sequence[Row], expected: int | None) -> None:
    """Raises ``UsageError`` for damaged text, duplicate ids or a wrong number of rows (``expected`` None: any)."""
    for row in rows:
        for part, text in _texts(row):
            found = _CONTROL.search(text)
            if found is None and card.answer_type != "code":
                found = _EATEN_ESCAPE.search(text)
            if found:
                raise UsageError(
                    f"{card.name}, {row.id}: the {part} holds the control character {found[0][0]!r} at position "
                    f"{found.start()}: this copy is damaged (an escape such as \\frac was eaten); use another one"
                )
        if not row.question.strip():
            raise UsageError(f"{card.name}, {row.id}: the problem's text is empty")
    twice = [name for name, count in Counter(row.id for row in rows).items() if count > 1]
    if twice:
        raise UsageError(f"{card.name}: the id {twice[0]!r} occurs more than once ({len(twice)} such ids)")
    if expected is not None and len(rows) != expected:
        word = "missing" if len(rows) < expected else "too many"
        raise UsageError(
            f"{card.name}: {len(rows)} problems instead of {expected} ({abs(expected - len(rows))} {word}): this copy "
            "is cut or is another selection"
        )


def _texts(row: Row) -> list[tuple[str, str]]:
    answers = row.gold if isinstance(row.gold, list) else [row.gold]
    return [
        ("problem's text", row.question),
        *((f"field {name}", text) for name, text in row.fields.items()),
        *(("answer", answer) for answer in answers if isinstance(answer, str)),
    ]
