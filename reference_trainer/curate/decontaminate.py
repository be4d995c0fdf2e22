"""Decontamination: word n-grams that a training question shares with evaluation problems."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.card import load_card
from harness.errors import UsageError
from harness.loaders.read import read_rows
from harness.problems import LoadOptions, load
from reference_trainer.curate.recipe import Columns, Decontaminate
from reference_trainer.curate.row import Decision, Row, uniform

_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Problems that must not be trained on: (benchmark, problem id, question), and a digest of them all."""

    problems: tuple[tuple[str, str, str], ...]

    @property
    def digest(self) -> str:
        """SHA-256 of names and texts."""
        return hashlib.sha256(repr(self.problems).encode("utf-8", "surrogatepass")).hexdigest()


def load_evaluation(settings: Decontaminate, columns: Columns, data: Path | None = None) -> Evaluation:
    """Reads the evaluation problems; the wording of a benchmark's prompt does not enter.

    Raises:
        UsageError: A benchmark is unknown or its rows cannot be had: nothing is passed for clean unseen.
    """
    problems: list[tuple[str, str, str]] = []
    for name in settings.benchmarks:
        card = load_card(name)
        bare = card.prompt.model_copy(
            update={"template": "{question}", "variants": dict.fromkeys(card.prompt.variants, "{question}")}
        )
        loaded = load(card.model_copy(update={"prompt": bare}), data, LoadOptions())
        problems += [(card.name, problem.id, problem.prompt) for problem in loaded.problems]
    for path in settings.files:
        problems += [(path.name, row["id"], row["question"]) for row in uniform(read_rows(path), columns, str(path))]
    if not problems:
        raise UsageError(
            "decontaminate names neither benchmarks nor files with a problem; name some, or set it to null"
        )
    return Evaluation(tuple(problems))


def decontaminate(rows: Iterable[Row], evaluation: Evaluation, settings: Decontaminate) -> Iterator[Decision]:
    """Drops questions with ``min_ngrams`` or more n-grams of one evaluation problem; evidence names that problem."""
    grams: dict[bytes, list[int]] = {}
    whole: dict[bytes, list[int]] = {}
    for number, (_, _, text) in enumerate(evaluation.problems):
        tokens = _tokens(text)
        whole.setdefault(_key(tokens), []).append(number)
        for key in _ngrams(tokens, settings.n):
            grams.setdefault(key, []).append(number)
    for row in rows:
        tokens = _tokens(row["question"])
        shared = Counter(number for key in _ngrams(tokens, settings.n) for number in grams.get(key, ()))
        hits = {number: count for number, count in shared.items() if count >= settings.min_ngrams}
        for number in whole.get(_key(tokens), ()):
            hits[number] = max(hits.get(number, 0), 1)
        if not hits:
            yield Decision(row)
            continue
        found = [
            {"benchmark": evaluation.problems[number][0], "problem": evaluation.problems[number][1], "ngrams": count}
            for number, count in sorted(hits.items(), key=lambda hit: (-hit[1], hit[0]))
        ]
        yield Decision(row, "contaminated", {"hits": found[:10], "problems_hit": len(found)})


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def _ngrams(tokens: Sequence[str], n: int) -> set[bytes]:
    return {_key(tokens[start : start + n]) for start in range(len(tokens) - n + 1)}


def _key(tokens: Sequence[str]) -> bytes:
    # Digests, not words: nothing of an evaluation problem stays in memory longer than its reading.
    return hashlib.blake2b("\0".join(tokens).encode("utf-8", "surrogatepass"), digest_size=12).digest()
