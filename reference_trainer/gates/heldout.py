"""No stage has read a held-out problem: by the rows of the held-out files, and by the rule that parts the sets.

Both are worked out here from the question's text alone, without the generators that made the sets.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from reference_trainer.gates.record import Check
from reference_trainer.stages import StageRun

DOMAINS = ("math", "code", "science")
_MATH = re.compile(r"(\d)((?:[-+*]\d)+)=\?")
_CODE = re.compile(r"f\((\d+)\)=(\d),f\((\d+)\)=(\d)")
_SCIENCE = re.compile(r"([a-z])=(?:([a-z])\+)?([a-z](?:\*[a-z])*),([a-z]=\d(?:,[a-z]=\d)*)")


@dataclass(frozen=True)
class Source:
    """Questions that a stage reads: where they stand, and the sets that they may be of."""

    name: str
    questions: list[str]
    allowed: tuple[str, ...] = ("train",)


def check_sources(run: StageRun, sources: Iterable[Source]) -> Iterator[Check]:
    """Two checks a source: against the held-out rows that are there, and against the rule."""
    rows = {question: place for place, question in _held_out(run)}
    canonical = {key for question in rows if (key := canonical_form(question)) is not None}
    for source in sources:
        hit = [q for q in source.questions if q in rows or canonical_form(q) in canonical]
        yield Check(
            f"heldout.{source.name}.rows",
            not hit,
            len(hit),
            f"0 of {len(source.questions)} questions that stand in a held-out file",
            f"'{hit[0]}' is held out: remove it from what makes {source.name}, and train again" if hit else "",
        )
        wrong = [q for q in source.questions if set_of(q) not in source.allowed]
        yield Check(
            f"heldout.{source.name}.rule",
            not wrong,
            len(wrong),
            f"0 questions outside the set {' or '.join(source.allowed)}",
            f"'{wrong[0]}' is of the set {set_of(wrong[0])}" if wrong else "",
        )


def set_of(question: str) -> str:
    """The set that a toy question belongs to, or what it is if none: 80 % train, 10 % validation, 10 % held out."""
    form = canonical_form(question)
    if form is None:
        return "no toy question"
    domain, text = form
    number = int.from_bytes(hashlib.sha256(f"{domain}\0{text}".encode()).digest()[:8], "big") % 100
    return "train" if number < 80 else "validation" if number < 90 else "heldout"


def canonical_form(question: str) -> tuple[str, str] | None:
    """(domain, one spelling for all questions with the same solution), or None for what is no toy question."""
    if match := _MATH.fullmatch(question):
        first, rest = match[1], match[2]
        if rest[0] in "+*" and rest[1] < first:  # the first pair may change places
            first, rest = rest[1], rest[0] + first + rest[2:]
        return "math", first + rest
    if match := _CODE.fullmatch(question):
        pairs = sorted([(int(match[1]), match[2]), (int(match[3]), match[4])])
        return "code", ",".join(f"f({x})={y}" for x, y in pairs)
    if match := _SCIENCE.fullmatch(question):
        values = dict(part.split("=") for part in match[4].split(","))
        addend = [int(values.get(match[2], 0))] if match[2] else []
        factors = sorted(int(values.get(name, 0)) for name in match[3].split("*"))  # factors change places freely
        return "science", f"{question.split(',')[0]}:{addend}:{factors}"
    return None


def read_column(path: Path, *names: str) -> list[str]:
    """One column of a JSONL file, the first of ``names`` that a row has.

    Raises:
        UsageError: The file is missing or a row has none of them.
    """
    found = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.append(str(next(row[name] for name in names if name in row)))
    except (OSError, ValueError, StopIteration) as error:
        raise UsageError(
            f"{path} cannot be read as rows with {' or '.join(names)} ({error!r}): make it again"
        ) from None
    return found


def questions_of(prompts: Iterable[Iterable[int]], tokenizer: Any) -> list[str]:
    """The questions in prompts of the tokenizer's chat form."""
    return [tokenizer.decode(list(tokens), skip_special_tokens=True) for tokens in prompts]


def _held_out(run: StageRun) -> Iterator[tuple[str, str]]:
    """(file, question) of every held-out file of the run."""
    for domain in DOMAINS:
        for name, columns in (
            (f"toy_{domain}.jsonl", ("problem", "prompt")),
            (f"{domain}/heldout.jsonl", ("question",)),
        ):
            for question in read_column(run.of("data", name), *columns):
                yield name, question
