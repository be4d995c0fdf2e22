"""Granularity in exact arithmetic, and what it shows about the paper's tables."""

import json
import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.audit import Audit, Group, audit
from harness.audit_granularity import (
    ROUNDINGS,
    chance,
    chance_rounded_runs,
    counts_that_print,
    fits,
    fits_rounded_runs,
    largest_rounding_error,
    round_share,
    ties,
)
from harness.audit_sums import round_decimal
from harness.errors import UsageError
from harness.published import paper_files
from harness.published_table import load_tables
from harness.report.audit_text import audit_json, audit_markdown

RULES = {"half-even": ROUND_HALF_EVEN, "half-up": ROUND_HALF_UP, "truncate": ROUND_DOWN}


def printed(k: int, total: int, digits: int, rule: str) -> str:
    """An independent rounding: Decimal of the exact fraction, with far more digits than any tie needs."""
    exact = Fraction(100 * k, total)
    scaled = exact * 10**digits
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    place = Decimal("0.5") if 2 * rest == scaled.denominator else Decimal(rest) / Decimal(scaled.denominator)
    value = (Decimal(whole) + place).quantize(Decimal(1), rounding=RULES[rule])
    return f"{value.scaleb(-digits):.{digits}f}"


@given(st.integers(1, 3000), st.integers(0, 3), st.sampled_from(ROUNDINGS), st.data())
def test_every_printed_mean_fits_and_names_its_count(total: int, digits: int, rule, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, total))
    text = printed(k, total, digits, rule)
    assert Decimal(round_share(k, total, digits, rule)).scaleb(-digits) == Decimal(text)
    assert k in counts_that_print(text, total, rule)
    assert fits(text, total)


@given(st.integers(1, 400), st.sampled_from(ROUNDINGS), st.integers(0, 10_000))
def test_counts_are_all_the_counts(total: int, rule, value: int) -> None:
    text = f"{value // 100}.{value % 100:02d}"
    brute = [k for k in range(total + 1) if printed(k, total, 2, rule) == text]
    assert counts_that_print(text, total, rule) == brute


@given(st.integers(1, 40), st.integers(1, 8), st.data())
def test_means_of_rounded_runs_fit(problems: int, runs: int, data: st.DataObject) -> None:
    each = [Decimal(printed(data.draw(st.integers(0, problems)), problems, 2, "half-even")) for _ in range(runs)]
    mean = (sum(each) / runs).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    assert fits_rounded_runs(f"{mean:.2f}", problems, runs)


@given(st.integers(1, 500), st.integers(0, 3))
def test_the_largest_rounding_error_is_reached(problems: int, digits: int) -> None:
    errors = [
        abs(Fraction(100 * k, problems) - Fraction(round_share(k, problems, digits, "half-up"), 10**digits))
        for k in range(problems + 1)
    ]
    assert largest_rounding_error(problems, digits) == max(errors)


@pytest.mark.parametrize(("problems", "samples"), [(30, 4), (7, 3), (198, 2)])
def test_the_chance_of_rounded_runs_is_the_share_of_figures_that_fit(problems: int, samples: int) -> None:
    hits = sum(fits_rounded_runs(f"{v // 100}.{v % 100:02d}", problems, samples) for v in range(10_001))
    assert chance_rounded_runs(problems, samples, 2) == Fraction(hits, 10_001)


def test_the_chance_is_the_share_of_figures_that_can_be_printed() -> None:
    hits = sum(fits(f"{v // 100}.{v % 100:02d}", 960, "half-even") for v in range(10_001))
    assert chance(960, 2) == Fraction(hits, 10_001)
    assert chance(20_000, 2) == 1


def test_ties_tell_the_rule() -> None:
    assert ties("43.12", 1920) == [(828, "half-even")]
    assert ties("43.13", 1920) == [(828, "half-up")]
    assert ties("50.00", 1920) == []


def test_figures_outside_the_scale_fit_nothing() -> None:
    assert counts_that_print("100.01", 30, "half-up") == []
    assert not fits("-0.50", 1920)


@given(st.fractions(-100, 100, max_denominator=5000), st.integers(0, 3), st.sampled_from(ROUNDINGS))
def test_rounding_of_sums(value: Fraction, digits: int, rule) -> None:
    error = abs(round_decimal(value, digits, rule) - value) * 10**digits
    assert error < 1 if rule == "truncate" else error <= Fraction(1, 2)


@pytest.fixture(scope="module")
def paper() -> Audit:
    return audit(load_tables(paper_files()[0]))


def group(found: Audit, *columns: str) -> Group:
    return next(item for item in found.groups if item.columns == columns)


def test_facts_about_the_paper(paper: Audit) -> None:
    assert paper.rounding == "half-even"
    aime = group(paper, "aime24", "aime25")
    inferred, claimed = aime.fits
    assert (inferred.samples, inferred.by_rule["half-even"], inferred.cells) == (64, 48, 48)
    assert (claimed.samples, claimed.source, claimed.any_rule, claimed.cells) == (32, "heading", 26, 42)
    assert [m for m in aime.fitting if m < 256] == [64, 128, 192]
    assert sorted(cell.figure for cell, _, rule in aime.settled if rule == "half-even") == ["43.12", "55.62", "73.12"]
    assert inferred.cells * math.log10(inferred.chance) == pytest.approx(48 * math.log10(1921 / 10001))
    lcb = group(paper, "livecodebench").fits[0]
    assert (lcb.samples, lcb.by_rule["half-even"], lcb.cells) == (8, 24, 24)
    gpqa = group(paper, "gpqa_diamond").fits[0]
    assert (gpqa.samples, gpqa.by_rule["half-even"], gpqa.rounded_runs, gpqa.cells) == (16, 20, 24, 24)
    cnmo = group(paper, "cnmo24").fits[0]
    assert (cnmo.samples, cnmo.any_rule, cnmo.cells) == (64, 6, 6)
    math500 = group(paper, "math500")
    assert math500.fits[0].any_rule == 2
    assert {1, 2}.isdisjoint(math500.fitting)


def test_the_paper_adds_up(paper: Audit) -> None:
    assert len(paper.sums) == 14
    assert {check.finding for check in paper.sums} == {"exact"}
    assert "improvement" in paper.skipped


def test_the_committed_audit_is_what_the_command_prints(paper: Audit) -> None:
    folder = Path(__file__).parents[2] / "results" / "paper_audit"
    assert json.loads((folder / "audit.json").read_text()) == json.loads(json.dumps(audit_json(paper)))
    assert (folder / "audit.md").read_text() == audit_markdown(paper, "ringlite audit --format markdown")


TABLE = """
columns: {score: {problems: 30, samples: 2, samples_source: stated}}
tables:
  t:
    columns: [score, other, gain, avg]
    differences: [{column: gain, of: score, minus: other}]
    averages: [{column: avg, over: [score, other]}]
    best: {score: max}
    rows:
      A: {values: [51.67, 50.00, 1.67, 50.84], bold: [score]}
      B: {values: [52.00, 50.00, 2.10, 51.00]}
      C: {values: [53.33, 50.00, 3.33, null]}
"""


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(TABLE)
    found = audit(load_tables(path), problems={"other": 2})
    fit = group(found, "score").fits[0]
    assert [cell.row for cell in fit.unfit] == ["B"]  # 52.00 is no k/60
    findings = {(check.row, check.column): check.finding for check in found.sums}
    assert findings["A", "avg"] == "exact"  # 50.835 rounds to 50.84
    assert findings["B", "gain"] == "inconsistent"
    assert ("C", "avg") not in findings
    assert [(bold.column, bold.best, bold.right) for bold in found.bold] == [("score", ("C",), False)]
    assert found.inconsistent == 3
    assert group(found, "other").problems_source == "option"
    with pytest.raises(UsageError, match="did you mean 'score'"):
        audit(load_tables(path), samples={"scor": 3})


def test_an_average_column_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "t.md"
    path.write_text(
        "| m | a | b | Average |\n|---|---|---|---|\n| x | 10.0 | 20.0 | 15.0 |\n| y | 10.0 | 20.0 | 15.3 |\n"
    )
    assert [check.finding for check in audit(load_tables(path)).sums] == ["exact", "inconsistent"]


def test_rounded_parts_are_allowed_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("m,a,b,c,average\nx,1,1,2,1.0\n")  # 4/3, but 0.6 + 0.6 + 1.8 = 3.0
    assert [check.finding for check in audit(load_tables(path)).sums] == ["within rounding"]


def test_the_command(ringlite, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(TABLE)
    shown = ringlite("audit", path)
    assert shown.returncode == 0
    assert "3 findings are inconsistent" in shown.stdout
    checked = ringlite("audit", path, "--check", "--format", "json")
    assert checked.returncode == 1
    assert json.loads(checked.stdout)["inconsistent"] == 3
    wrong = ringlite("audit", path, "--problems", "score")
    assert wrong.returncode == 2
    assert "write COLUMN=NUMBER" in wrong.stderr
    assert ringlite("audit", tmp_path / "none.yaml").returncode == 2
