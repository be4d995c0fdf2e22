"""The fast path against Math-Verify itself, on everything that it decides."""

import json
import logging
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from math_verify import parse, verify
from math_verify.parser import LatexExtractionConfig

from harness.graders.math import fast_path

CONFIG = (LatexExtractionConfig(),)


def math_verify(gold: str, answer: str) -> bool:
    logging.disable(logging.CRITICAL)
    try:
        parsed = [parse(f"\\boxed{{{text}}}", CONFIG, parsing_timeout=None) for text in (gold, answer)]
        return bool(verify(parsed[0], parsed[1], timeout_seconds=None))
    finally:
        logging.disable(logging.NOTSET)


def agrees(gold: str, answer: str) -> None:
    verdict = fast_path.decide(gold, answer)
    if verdict is not None:
        assert verdict is math_verify(gold, answer), (gold, answer, verdict)


def thousands(value: int, mark: str) -> str:
    return f"{value:,}".replace(",", mark)


INTEGERS = st.integers(-(10**12), 10**12) | st.integers(-50, 50)
WRITTEN = st.one_of(
    INTEGERS.map(str),
    st.integers(0, 2000).map(lambda value: f"{value:05d}"),
    st.integers(1000, 10**9).map(lambda value: thousands(value, ",")),
    st.integers(1000, 10**9).map(lambda value: thousands(value, "{,}")),
    st.integers(1000, 10**9).map(lambda value: thousands(value, ",\\!")),
    st.integers(0, 1000).map(lambda value: f"+{value}"),
    st.integers(10**20, 10**40).map(str),
)
SMALL = st.integers(-40, 40)
FRACTIONS = st.one_of(
    st.tuples(SMALL, st.integers(1, 40)).map(lambda t: f"\\frac{{{t[0]}}}{{{t[1]}}}"),
    st.tuples(st.integers(0, 40), st.integers(1, 40)).map(lambda t: f"-\\dfrac{{{t[0]}}}{{{t[1]}}}"),
    st.tuples(st.integers(0, 9), st.integers(1, 9)).map(lambda t: f"\\frac{t[0]}{t[1]}"),
    st.tuples(st.integers(0, 400), st.integers(1, 400)).map(lambda t: f"{t[0]}/{t[1]}"),
    st.tuples(st.integers(0, 40), st.integers(1, 40)).map(lambda t: f"\\tfrac{{{t[0]}}}{{{t[1]}}}"),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WRITTEN | FRACTIONS, WRITTEN | FRACTIONS)
def test_never_disagrees_on_numbers(gold: str, answer: str) -> None:
    agrees(gold, answer)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(INTEGERS, st.integers(2, 30), FRACTIONS)
def test_never_disagrees_where_the_value_is_the_same(value: int, factor: int, fraction: str) -> None:
    for answer in (
        f"{value}",
        f"\\frac{{{value * factor}}}{{{factor}}}",
        f" {value} ",
        f"{{{value}}}",
        f"\\text{{{value}}}",
    ):
        agrees(str(value), answer)
    number = fast_path.exact_number(fraction)
    assert number is not None
    assert fast_path.decide(fraction, f"\\frac{{{number.numerator * factor}}}{{{number.denominator * factor}}}") is True
    agrees(fraction, f"\\frac{{{number.numerator * factor}}}{{{number.denominator * factor}}}")


def test_what_is_close_is_left_to_the_slow_path() -> None:
    assert fast_path.decide("\\frac{1}{100000000}", "\\frac{1}{100000001}") is None
    assert fast_path.decide("1", "2") is False
    assert fast_path.decide("x+1", "1+x") is None


@pytest.mark.parametrize(
    "text", ["٥", "５", "5²", "1,23", "1,2345", "5.", "5.0", "1/0", "\\frac{1}{0}", "", "--5", "1e3"]
)
def test_what_is_no_plain_number(text: str) -> None:
    assert fast_path.exact_number(text) is None


def test_values() -> None:
    assert fast_path.exact_number("-\\frac{6}{4}") == Fraction(-3, 2)
    assert fast_path.exact_number("12,\\!345") == 12345
    assert fast_path.exact_number("007") == 7


@pytest.mark.data
def test_never_disagrees_on_real_golds(data: Path) -> None:
    rows = [json.loads(line) for line in (data / "math500/math500.jsonl").read_text().splitlines()]
    golds = [row["answer"] for row in rows]
    for position, gold in enumerate(golds):
        agrees(gold, gold)
        agrees(gold, gold.replace("\\frac", "\\dfrac"))
        agrees(gold, f" {gold} ")
        agrees(gold, golds[position - 1])
        agrees(gold, golds[(position * 7 + 3) % len(golds)])
