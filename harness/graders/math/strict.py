"""The strict verdict on one (gold, answer) pair: structure and literals here, expressions by Math-Verify.

Each rule that settles a pair adds its name (see ``corrections``) to ``used``; the caller reports those names when the
verdict differs from Math-Verify's own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.graders.math.forms import clean, unwrap
from harness.graders.math.literals import Literal, read_literal, same_number
from harness.graders.math.relations import (
    approximations,
    bare_value,
    is_inequality,
    is_qualified,
    proportional,
    ratio_terms,
    residue,
    side_chain,
)
from harness.graders.math.structure import Parts, read_parts
from harness.graders.math.units import split_unit, units_clash
from harness.graders.math.words import same_word, time_of_day, word_of

Expressions = Callable[[str, str], bool]
Sets = Callable[[str, list[str], bool], bool]


@dataclass(slots=True)
class Strict:
    """Compares answers.

    Attributes:
        enabled: Names of the corrections that are on.
        expressions: Verdict on two expressions (Math-Verify, with numbers checked).
        relation_sets: Verdict on a gold set and a list of inequalities, joined by "or" (True) or "and".
        used: Names of the corrections that settled something so far.
    """

    enabled: frozenset[str]
    expressions: Expressions
    relation_sets: Sets
    used: set[str] = field(default_factory=set)

    def _on(self, name: str) -> bool:
        if name in self.enabled:
            self.used.add(name)
            return True
        return False

    def same(self, gold: str, answer: str, *, several: bool = False) -> bool:
        """The verdict on one pair.

        Args:
            gold: The reference answer.
            answer: The extracted answer.
            several: Whether the gold is known to hold several values.
        """
        raw_gold = gold
        if "forms" in self.enabled:
            gold, answer = clean(gold), clean(answer)
            self.used.add("forms")
        if not answer or not gold:
            return False
        if gold == answer:
            return True
        if is_qualified(answer) and not is_qualified(gold) and self._on("relations"):
            return False
        word = word_of(raw_gold, gold)
        if word is not None and self._on("words"):
            return same_word(word, answer)
        if "structure" not in self.enabled:
            return self.atom(gold, answer)
        answer = residue(answer) if "modulus" in self.enabled else answer
        gold_parts, answer_parts = read_parts(gold, several), read_parts(answer, several)
        if self._whole(gold, answer, several):
            return True
        verdict = self._parts(gold, answer, gold_parts, answer_parts)
        if (
            not verdict
            and not several
            and gold_parts.shape == "single"
            and re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", gold)
        ):
            # "100,200" may have been two values: it is when the answer writes them apart.
            verdict = answer_parts.shape != "single" and self._parts(gold, answer, read_parts(gold, True), answer_parts)
        return verdict

    def value(self, text: str) -> str:
        """Returns an answer without its name, unit and percent sign: what a tolerance is measured on."""
        body = split_unit(self._sides("0", clean(text))[1])[0]
        return body.rstrip().removesuffix("\\%").removesuffix("%").strip()

    def _whole(self, gold: str, answer: str, several: bool) -> bool:
        """Whether both are one number once units are off, before commas are taken for separators."""
        if several:
            return False
        left, right = read_literal(split_unit(gold)[0]), read_literal(split_unit(answer)[0])
        return (
            left is not None
            and right is not None
            and "numbers" in self.enabled
            and self._literals(gold, answer, left, right)
        )

    def _literals(self, gold: str, answer: str, left: Literal, right: Literal) -> bool:
        if units_clash(split_unit(gold)[1], split_unit(answer)[1]) and self._on("units"):
            return False
        self.used.add("bases" if left.base is not None or right.base is not None else "numbers")
        return same_number(left, right)

    def _parts(self, gold_text: str, answer_text: str, gold: Parts, answer: Parts) -> bool:
        if gold.shape == "single" and answer.shape == "single":
            return self.atom(gold.items[0], answer.items[0])
        if gold.shape == "single":
            return self._single_against_parts(gold_text, gold.items[0], answer, answer_text)
        if answer.shape == "single":
            return self._parts_against_single(gold_text, gold, answer.items[0])
        self._on("structure")
        if gold.shape == "tuple" and answer.shape in ("tuple", "list"):
            return self._ordered(gold.items, _by_label(answer.items))
        if gold.shape == "list" and answer.shape == "tuple" and _labelled(gold.items):
            return self._ordered(_by_label(gold.items), answer.items)
        return gold.shape != "tuple" and self._unordered(gold.items, answer.items)

    def _single_against_parts(self, gold_text: str, gold: str, answer: Parts, answer_text: str) -> bool:
        if answer.shape == "list" and all(is_inequality(item) for item in answer.items) and self._on("forms"):
            return self.relation_sets(gold, list(answer.items), _joined_by_or(answer_text))
        if "\\cup" in gold and all(_INTERVAL.fullmatch(item) for item in answer.items):
            return self.expressions(gold, " \\cup ".join(answer.items))
        if answer.shape == "tuple":
            return self.expressions(gold, answer_text)
        if self._on("candidates"):
            return bool(answer.items) and all(self.atom(gold, item) for item in answer.items)
        return self.expressions(gold, answer_text)

    def _parts_against_single(self, gold_text: str, gold: Parts, answer: str) -> bool:
        if gold.shape == "tuple":
            return self.expressions(gold_text, answer)
        if all(is_inequality(item) for item in gold.items) and self._on("forms"):
            return self.relation_sets(answer, list(gold.items), _joined_by_or(gold_text))
        # "x = 2, x = 2": several spellings of one value.
        return bool(gold.items) and all(self.atom(item, answer) for item in gold.items)

    def _ordered(self, gold: tuple[str, ...], answer: tuple[str, ...]) -> bool:
        return len(gold) == len(answer) and all(self.element(g, a) for g, a in zip(gold, answer, strict=True))

    def _unordered(self, gold: tuple[str, ...], answer: tuple[str, ...]) -> bool:
        """Equal as sets: every gold has its answer and every answer its gold."""
        left = list(gold)
        unmatched = []
        for item in answer:
            partner = next((other for other in left if other == item), None)
            partner = partner or next((other for other in left if self.element(other, item)), None)
            if partner is None:
                unmatched.append(item)
            else:
                left.remove(partner)
        return all(any(self.element(other, item) for other in gold) for item in unmatched) and all(
            any(self.element(other, item) for item in answer) for other in left
        )

    def element(self, gold: str, answer: str) -> bool:
        """Compares two parts, which may be tuples or sets again."""
        if gold.replace(" ", "") == answer.replace(" ", ""):
            return True
        gold_parts, answer_parts = read_parts(gold), read_parts(answer)
        if gold_parts.shape == answer_parts.shape == "single":
            return self.atom(gold_parts.items[0], answer_parts.items[0])
        return self._parts(gold, answer, gold_parts, answer_parts)

    def atom(self, gold: str, answer: str) -> bool:
        """Compares two single values."""
        gold, answer = unwrap(gold), unwrap(answer)
        if gold.replace(" ", "") == answer.replace(" ", ""):
            return True
        clock = time_of_day(gold)
        if clock is not None and "times" in self.enabled:
            other = time_of_day(answer)
            if other is not None or clock.half:
                self.used.add("times")
                return other is not None and clock.same(other)
        readings = approximations(answer)
        if len(readings) > 1 and self._on("forms"):
            return any(self.atom(gold, reading) for reading in readings)
        ratio, other_ratio = ratio_terms(gold), ratio_terms(answer)
        if ratio is not None and other_ratio is not None and self._on("structure"):
            return proportional(ratio, other_ratio)
        gold, answer = self._sides(gold, answer)
        if not gold or not answer:
            return False
        (gold_body, gold_unit), (answer_body, answer_unit) = split_unit(gold), split_unit(answer)
        if units_clash(gold_unit, answer_unit) and self._on("units"):
            return False
        left, right = read_literal(gold_body), read_literal(answer_body)
        if left is not None and right is not None and "numbers" in self.enabled:
            return self._literals(gold, answer, left, right)
        if ((left and left.base) or (right and right.base)) and self._on("bases"):
            return False
        return self.expressions(gold_body, answer_body)

    def _sides(self, gold: str, answer: str) -> tuple[str, str]:
        """Takes "x =" off where only one side has it; an equation without variables must hold."""
        if "modulus" in self.enabled:
            changed = residue(answer)
            if changed != answer:
                self.used.add("modulus")
                answer = changed
            if "\\bmod" in answer or "\\pmod" in answer or "\\mod" in answer:
                return gold, "" if gold.replace(" ", "") != answer.replace(" ", "") else answer
            gold = residue(gold)
        gold_chain, answer_chain = side_chain(gold), side_chain(answer)
        if len(answer_chain) > 1 and "relations" in self.enabled:
            for value in answer_chain[:-1]:
                if bare_value(value) and bare_value(answer_chain[-1]) and not self.atom(answer_chain[-1], value):
                    self.used.add("relations")
                    return gold, ""
        if len(gold_chain) == 1:
            turned = len(answer_chain) == 2 and is_name(answer_chain[1]) and not is_name(answer_chain[0])
            return gold, answer_chain[0 if turned and not is_name(gold) else -1]
        if len(answer_chain) == 1 and is_name(gold_chain[0]):
            return gold_chain[-1], answer_chain[-1]
        if (
            len(gold_chain) > 1
            and len(answer_chain) > 1
            and gold_chain[0].replace(" ", "") == answer_chain[0].replace(" ", "")
        ) and is_name(gold_chain[0]):
            return gold_chain[-1], answer_chain[-1]
        return gold, answer


_NAME = re.compile(
    r"\\?[a-zA-Z]+(?:_\{?[\w,]+\}?)?'?(?:\([a-zA-Z0-9,\s]+\))?|\\(?:text|mathrm|angle|operatorname)\s*\{?[\w\s]*\}?(?:\s*[A-Z]{1,3})?"
)


_INTERVAL = re.compile(r"[(\[][^()\[\]]*,[^()\[\]]*[)\]]")


def is_name(text: str) -> bool:
    """Whether the left side of an equation only names the value: ``x``, ``f(x)``, ``\\angle ABC``."""
    return _NAME.fullmatch(text.strip()) is not None


def _joined_by_or(text: str) -> bool:
    """Whether inequalities are alternatives: anything but "and" between them."""
    return re.search(r"(?<![a-zA-Z])and(?![a-zA-Z])|\\(?:land|wedge|cap)", text) is None


def _labelled(items: tuple[str, ...]) -> bool:
    return all(len(chain) == 2 and is_name(chain[0]) for chain in map(side_chain, items))


def _by_label(items: tuple[str, ...]) -> tuple[str, ...]:
    """Sorts ``y=2, x=1`` by the names and keeps the values; anything else stays as it is."""
    if not _labelled(items):
        return items
    return tuple(value for _, value in sorted(map(side_chain, items)))
