"""Toy instructions that need no reasoning, for the general stage: what is asked of a word is answered at once."""

import hashlib
import string
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from reference_trainer.tasks.problem import Split

_KINDS = ("copy", "first", "last", "length")
_LONGEST = 6


@dataclass(frozen=True, slots=True)
class Instruction:
    """A question and the only right answer."""

    question: str
    answer: str


def instructions(count: int, split: Split, seed: int) -> Iterator[Instruction]:
    """``count`` instructions of one set; a word belongs to one set alone, whatever the seed."""
    random = Random(f"{seed}/instructions/{split}")
    while count:
        word = "".join(random.choice(string.ascii_lowercase) for _ in range(random.randint(2, _LONGEST)))
        kind = random.choice(_KINDS)
        if _split(word) == split:
            count -= 1
            yield Instruction(f"{kind} {word}", _answer(kind, word))


def _answer(kind: str, word: str) -> str:
    return {"copy": word, "first": word[0], "last": word[-1], "length": str(len(word))}[kind]


def _split(word: str) -> Split:
    bucket = hashlib.sha256(word.encode()).digest()[0] % 10
    return "train" if bucket < 8 else "validation" if bucket == 8 else "heldout"
