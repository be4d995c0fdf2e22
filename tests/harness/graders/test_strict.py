"""The strict verdict on made-up pairs of every notation that models use."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.graders.math import CORRECTIONS, MathGrader

PAIRS = Path(__file__).with_name("pairs")


def read_pairs(name: str) -> list[tuple[str, str]]:
    lines = (PAIRS / name).read_text().splitlines()
    pairs = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            gold, answer = line.split(" || ")
            pairs.append((gold, answer))
    return pairs


def verdicts(grader: MathGrader, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    answers = grader.grade_many((f"So we get $\\boxed{{{answer}}}$.", gold) for gold, answer in pairs)
    return {pair: answer.correct for pair, answer in zip(pairs, answers, strict=True)}


def test_the_same_answer_is_accepted_however_it_is_written(strict: MathGrader) -> None:
    assert [pair for pair, right in verdicts(strict, read_pairs("right.txt")).items() if not right] == []


def test_another_answer_is_refused_however_close_it_looks(strict: MathGrader) -> None:
    assert [pair for pair, right in verdicts(strict, read_pairs("wrong.txt")).items() if right] == []


CORRECTED = [
    ("numbers", "6.63\\times 10^{-34}", "1.6\\times 10^{-19}", False),
    ("numbers", "0.000067", "0.0000672", False),
    ("bases", "70_8", "70", False),
    ("relations", "5", "7=5", False),
    ("modulus", "2", "17 \\bmod 5", True),
    ("times", "10:30", "5:15", False),
    ("words", "east", "seat", False),
    ("forms", "\\sqrt{2}", "√2", True),
    ("units", "5 \\text{ km}", "5 \\text{ m}", False),
]


@pytest.mark.parametrize(("name", "gold", "answer", "right"), CORRECTED)
def test_each_correction_can_be_switched_off(
    name: str, gold: str, answer: str, right: bool, strict: MathGrader
) -> None:
    response = f"\\boxed{{{answer}}}"
    assert strict.grade(response, gold).correct is right
    others = [other for other in CORRECTIONS if other not in {name, "numbers", "bases"}]
    with MathGrader(
        workers=1, corrections=others if name in {"numbers", "bases"} else set(CORRECTIONS) - {name}
    ) as off:
        assert off.grade(response, gold).correct is not right


def test_corrections_are_counted_beside_the_verdict_of_math_verify() -> None:
    with MathGrader(workers=1, explain=True) as grader:
        answer = grader.grade("\\boxed{1.6\\times 10^{-19}}", "6.63\\times 10^{-34}")
        assert not answer.correct
        assert answer.evidence["math_verify"] is True
        assert "numbers" in answer.evidence["corrections"]
        assert grader.counts["correction numbers"] == 1


def test_several_golds_are_alternatives(strict: MathGrader) -> None:
    assert strict.grade("\\boxed{7}", ["5", "7"]).correct
    assert not strict.grade("\\boxed{5, 7}", ["5", "7"]).correct


@pytest.mark.parametrize("gold", ["", "  ", [], None, 5, ["5", ""]])
def test_a_gold_that_is_none_is_refused(gold: object, strict: MathGrader) -> None:
    with pytest.raises(UsageError, match="gold"):
        strict.grade("\\boxed{5}", gold)  # type: ignore[arg-type]


def test_an_aime_gold_is_an_integer(strict: MathGrader) -> None:
    assert strict.grade("\\boxed{73}", "073", kind="aime").correct
    with pytest.raises(UsageError, match="0 to 999"):
        strict.grade("\\boxed{73}", "7.5", kind="aime")


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'strict'"):
        MathGrader("strickt")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="did you mean 'units'"):
        MathGrader(corrections=["unit"])


def test_tolerance_and_several_values(strict: MathGrader) -> None:
    assert strict.grade("\\boxed{4.25\\%}", "4.2", tolerance=0.1).correct
    assert not strict.grade("\\boxed{4.35}", "4.2", tolerance=0.1).correct
    assert not strict.grade("\\boxed{4.25}", "4.2").correct
    assert strict.grade("\\boxed{200,100}", "100,200", several=True).correct
    assert not strict.grade("\\boxed{200,100}", "100,200").correct
