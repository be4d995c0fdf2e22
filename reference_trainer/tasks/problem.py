"""One toy problem, and which of the three disjoint sets it belongs to."""

import hashlib
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

Domain = Literal["math", "code", "science"]
Split = Literal["train", "validation", "heldout"]

DOMAINS: tuple[Domain, ...] = ("math", "code", "science")
SPLITS: tuple[Split, ...] = ("train", "validation", "heldout")
MODULUS = 10
_TRAIN_PERCENT, _VALIDATION_PERCENT = 80, 10


@dataclass(frozen=True, slots=True)
class ToyProblem:
    """One problem of a toy domain.

    Attributes:
        domain: Which one.
        question: What the model is asked.
        canonical: One spelling for all questions with the same solution by the same steps (order of commuting operands,
            order of the examples); the sets are disjoint in it.
        level: Difficulty, 1 is the easiest.
        answer: The digit that is asked for; for code the canonical solution.
        cases: Code: (input, output) pairs that the question does not show; else empty.
    """

    domain: Domain
    question: str
    canonical: str
    level: int
    answer: str
    cases: tuple[tuple[int, int], ...] = ()

    @property
    def id(self) -> str:
        """Stable name: the domain and a digest of the question."""
        return f"{self.domain}-{_digest(self.domain, self.question).hex()[:16]}"

    @property
    def split(self) -> Split:
        """The set that this problem belongs to; a function of the canonical problem alone, whatever the seed."""
        return split_of(self.domain, self.canonical)


class ToyDomain(Protocol):
    """A generator with two teachers.

    ``careful`` writes the steps and is always right; ``hasty`` guesses blindly. Both write whole responses without
    the end token.
    """

    @property
    def levels(self) -> tuple[int, ...]:
        """Difficulties, 1 is the easiest."""
        ...

    def draw(self, level: int, random: Random) -> ToyProblem:
        """A random problem of this level, of any set."""

    def careful(self, problem: ToyProblem) -> str:
        """The worked solution."""

    def hasty(self, problem: ToyProblem, random: Random) -> str:
        """An answer of the right form, drawn without looking at the problem."""


def split_of(domain: Domain, canonical: str) -> Split:
    """80 % train, 10 % validation, 10 % held out, by a hash of the canonical problem."""
    bucket = int.from_bytes(_digest(domain, canonical)[:8], "big") % 100
    if bucket < _TRAIN_PERCENT:
        return "train"
    return "validation" if bucket < _TRAIN_PERCENT + _VALIDATION_PERCENT else "heldout"


def _digest(domain: str, text: str) -> bytes:
    return hashlib.sha256(f"{domain}\0{text}".encode()).digest()


def boxed(answer: str) -> str:
    r"""``\boxed{answer}``."""
    return f"\\boxed{{{answer}}}"
