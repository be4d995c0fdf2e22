"""Rows in the schema of ``opencompass/LiveMathBench``, whose own are gated: questions and answers made from a seed.

Columns question, answer, question_type and, for multiple choice, options; a copy of several configurations carries the
name of each row's configuration, as our loader of the hub's repository writes it.
"""

import json
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

SIZES = {"CNMO": 18, "CCEE": 44, "AMC": 46, "WLPMC": 11}  # problems a language in v202412


def _fraction(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{'-' if value < 0 else ''}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _linear(rng: random.Random, chinese: bool) -> tuple[str, str]:
    a, b, c = rng.randint(2, 99), rng.randint(-999, 999), rng.randint(-999, 999)
    start, end = ("设 $", "$, 求 $x$ 的值.") if chinese else ("Find $x$ such that $", "$.")
    return f"{start}{a} x {b:+d} = {c}{end}", f"${_fraction(Fraction(c - b, a))}$"


def _surd(rng: random.Random, chinese: bool) -> tuple[str, str]:
    a, b = rng.randint(2, 999), rng.choice([2, 3, 5, 6, 7, 10, 11, 13])
    end = ", 求直径." if chinese else ". Give its diameter."
    start = "圆的半径的平方为" if chinese else "The square of a circle's radius is"
    return f"{start} ${a * a * b}${end}", f"${2 * a}\\sqrt{{{b}}}$"


def _interval(rng: random.Random, chinese: bool) -> tuple[str, str]:
    low = rng.randint(-400, 400)
    high = low + rng.randint(1, 400)
    start, end = ("求不等式", "的解集.") if chinese else ("Solve the inequality", " as an interval.")
    return f"{start} $(x - ({low}))(x - ({high})) \\le 0${end}", f"$[{low}, {high}]$"


def _triple(rng: random.Random, chinese: bool) -> tuple[str, str]:
    x, y, z = (rng.randint(1, 500) for _ in range(3))
    start = "求满足下列方程组的" if chinese else "Find the triple of the system"
    return f"{start} $(x, y, z)$: $x + y = {x + y}$, $y + z = {y + z}$, $x + z = {x + z}$.", f"$({x}, {y}, {z})$"


def _expression(rng: random.Random, chinese: bool) -> tuple[str, str]:
    a, b = rng.randint(2, 99), rng.randint(1, 99)
    start = "化简" if chinese else "Simplify, for positive integers $n$,"
    return f"{start} $\\sum_{{k=1}}^{{n}} ({2 * a} k + {b})$.", f"${a}n^2+{a + b}n$"


def _letter(rng: random.Random, chinese: bool) -> tuple[str, str, list[str]]:
    a, b = rng.randint(12, 999), rng.randint(12, 999)
    values = [a * b + shift for shift in (0, *rng.sample([1, -1, 10, -10, 100], 3))]
    rng.shuffle(values)
    options = [f"({letter}) ${value}$" for letter, value in zip("ABCD", values, strict=True)]
    start, end = ("计算", "等于") if chinese else ("What is", "?")
    return f"{start} ${a} \\cdot {b}${end}", "ABCD"[values.index(a * b)], options


_OPEN: tuple[Callable[[random.Random, bool], tuple[str, str]], ...] = (_linear, _surd, _interval, _triple, _expression)


def _row(rng: random.Random, exam: str, number: int, chinese: bool) -> dict[str, Any]:
    if exam == "AMC" or (exam == "CCEE" and number >= 13):
        question, answer, options = _letter(rng, chinese)
        return {
            "question": question,
            "answer": answer,
            "question_type": "单选" if chinese else "choice",
            "options": options,
        }
    question, answer = _OPEN[number % len(_OPEN)](rng, chinese)
    return {"question": question, "answer": answer, "question_type": "问答" if chinese else "problem-solving"}


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """A data folder with made-up rows of CNMO 2024 and LiveMathBench where a user's own copies lie."""
    rng = random.Random(20241118)
    rows = {
        "cnmo24": [_row(rng, "CNMO", number, False) for number in range(SIZES["CNMO"])],
        "livemathbench": [
            {"__config__": f"v202412_{exam}_{language}", **_row(rng, exam, number, language == "cn")}
            for exam, size in SIZES.items()
            for language in ("en", "cn")
            for number in range(size)
        ],
    }
    for name, content in rows.items():
        path = tmp_path / "data" / name / f"{name}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content), encoding="utf-8")
    return tmp_path / "data"
