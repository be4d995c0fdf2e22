"""Every gold of the benchmarks, boxed, in the spellings of models; and the golds of other problems.

There is no exception: each gold is accepted as it stands and in each of the spellings below that apply to it. Golds of
two problems are paired only where their values surely differ: several problems do share an answer.
"""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.graders import olympiad
from harness.graders.math import MathGrader
from harness.graders.math.boxes import find_boxes

pytestmark = pytest.mark.data
INTEGER = re.compile(r"-?[0-9]+")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def golds_of(data: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    if name == "aime":
        found = [row["answer"] for row in rows(data / "aime2024/aime2024.jsonl")]
        found += [row["expected_answer"] for row in rows(data / "aime2025/aime2025.jsonl")]
        return [(str(gold), {}) for gold in found]
    if name == "math500":
        return [(row["answer"], {}) for row in rows(data / "math500/math500.jsonl")]
    if name == "minerva":
        return [(find_boxes(row["solution"])[-1].content, {}) for row in rows(data / "minerva_math/minerva_math.jsonl")]
    return [(row["final_answer"][0], row) for row in rows(data / "olympiadbench/olympiadbench_oe_to_maths_en.jsonl")]


NAMES = ("aime", "math500", "minerva", "olympiad")


def refused(
    grader: MathGrader, golds: list[tuple[str, dict[str, Any]]], spell: Callable[[str], str | None]
) -> list[str]:
    spelled = [(gold, row, spell(gold)) for gold, row in golds]
    wrong = []
    for gold, row, answer in spelled:
        if answer is not None:
            answers = olympiad.golds([gold], row)
            if not grader.grade(f"So it is $\\boxed{{{answer}}}$.", answers, **olympiad.terms(row)).correct:
                wrong.append(answer)
    return wrong


def integer(change: Callable[[str], str]) -> Callable[[str], str | None]:
    return lambda gold: change(gold) if INTEGER.fullmatch(gold) else None


def numeric_end(change: str) -> Callable[[str], str | None]:
    def spell(gold: str) -> str | None:
        ends = re.search(r"[0-9]\}?\$?$", gold) and not re.search(r"text|mathrm|mbox|_|,|in\b|\\begin", gold)
        return gold.strip("$") + change if ends else None

    return spell


SPELLINGS: dict[str, Callable[[str], str | None]] = {
    "as it stands": lambda gold: gold,
    "no dollars": lambda gold: gold.replace("$", "") if "\\$" not in gold else None,
    "spaces": lambda gold: f"  {gold}  ",
    "full stop": lambda gold: gold + ".",
    "display style": lambda gold: "\\displaystyle " + gold,
    "dfrac": lambda gold: gold.replace("\\frac", "\\dfrac") if "\\frac" in gold else None,
    "tfrac": lambda gold: gold.replace("\\frac", "\\tfrac") if "\\frac" in gold else None,
    "left and right": lambda gold: (
        re.sub(r"\\left|\\right", "", gold).replace("(", "\\left(").replace(")", "\\right)") if "(" in gold else None
    ),
    "leading zeros": integer(lambda gold: "00" + gold if gold[0] != "-" else gold),
    "a point and a zero": integer(lambda gold: gold + ".0"),
    "in text": integer(lambda gold: f"\\text{{{gold}}}"),
    "named": integer(lambda gold: f"x = {gold}"),
    "thousands with commas": integer(lambda gold: f"{int(gold):,}"),
    "thousands with braces": integer(lambda gold: f"{int(gold):,}".replace(",", "{,}")),
    "thousands with thin spaces": integer(lambda gold: f"{int(gold):,}".replace(",", "\\,")),
    "degrees": integer(lambda gold: gold + "^\\circ"),
    "words": integer(lambda gold: gold + " people"),
    "a unit": numeric_end("\\text{ cm}"),
    "a power of a unit": numeric_end("\\,\\mathrm{cm}^2"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_gold_is_accepted(name: str, spelling: str, data: Path, strict: MathGrader) -> None:
    assert refused(strict, golds_of(data, name), SPELLINGS[spelling]) == []


@pytest.mark.parametrize("name", ["aime", "math500", "minerva", "olympiad"])
def test_every_gold_is_accepted_by_math_verify_too(name: str, data: Path) -> None:
    golds = golds_of(data, name)
    with MathGrader("math-verify", workers=2) as grader:
        answers = grader.grade_many((f"So it is $\\boxed{{{gold.strip('$')}}}$.", gold.strip("$")) for gold, _ in golds)
    assert [answer for answer in answers if not answer.correct] == []


def value(text: str) -> float | None:
    """The value of a plain number, by nothing of the grader's."""
    text = text.strip("$. ").replace("\\!", "").replace("\\dfrac", "\\frac")
    fraction = re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", text)
    if fraction:
        sign, above, below = fraction.groups()
        return (-1 if sign else 1) * int(above) / int(below)
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


@pytest.mark.parametrize("name", NAMES)
def test_the_gold_of_another_problem_is_refused(name: str, data: Path, strict: MathGrader) -> None:
    golds = golds_of(data, name)
    rng = random.Random(20250618)
    pairs = []
    for gold, row in golds:
        other, _ = rng.choice(golds)
        one, two = value(gold), value(other)
        both_numbers = one is not None and two is not None
        if (both_numbers and abs(one - two) > 1e-9) or (one is None) != (two is None):
            pairs.append((gold, other, row))
    assert len(pairs) > len(golds) / 2.5
    accepted = []
    for gold, other, row in pairs:
        if strict.grade(f"\\boxed{{{other}}}", [gold], **olympiad.terms(row)).correct:
            accepted.append((gold, other))
    assert accepted == []
