"""The statistics of a claim, and the ledger end to end on a model that is too small to show anything."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from reference_trainer.claims import CLAIMS, table
from reference_trainer.claims.claim import collapse, over_seeds, smoothed, variation
from reference_trainer.cli import app

RECIPE = Path(__file__).parent / "tiny.yaml"
finite = st.floats(-100, 100).map(lambda value: round(value, 3))


@given(st.lists(finite, min_size=3, max_size=8), st.floats(0.5, 10))
def test_the_verdict_follows_the_p_value_and_not_the_scale(values: list[float], scale: float):
    part, scaled = over_seeds("x", values, "units"), over_seeds("x", [scale * v for v in values], "units")
    assert part.verdict == scaled.verdict or math.isclose(part.p_value or 0, 0.05, abs_tol=1e-6)
    assert (part.verdict == "supported") == (part.p_value is not None and part.p_value < 0.05)


@given(st.lists(finite.filter(lambda v: abs(v) > 1), min_size=3, max_size=8))
def test_a_statement_and_its_opposite_are_never_both_supported(values: list[float]):
    verdicts = {over_seeds("x", values, "").verdict, over_seeds("not x", [-v for v in values], "").verdict}
    assert "not supported" in verdicts


def test_equal_seeds_are_judged_by_their_sign_and_their_number():
    assert over_seeds("x", [0.3] * 5, "").p_value == 0.5**5
    assert over_seeds("x", [0.3] * 3, "").verdict == "not supported"
    assert over_seeds("x", [-0.3] * 5, "").verdict == "not supported"
    assert over_seeds("x", [0.3, 0.4], "").verdict == "not testable at this scale"


@pytest.mark.parametrize(
    ("rewards", "step"),
    [
        ([0.1 * i for i in range(10)], None),
        ([1.0] * 10 + [0.0] * 10, 12),  # the mean of five falls below one half with the third zero
        ([1.0] * 10 + [0.0] * 5 + [1.0] * 10, None),
        ([0.0] * 10, None),
    ],
)
def test_collapse_is_a_fall_that_lasts(rewards: list[float], step: int | None):
    assert collapse(rewards) == step


def test_smoothing_and_variation():
    assert smoothed([1, 2, 3, 4], 2) == [1, 1.5, 2.5, 3.5]
    assert variation([5.0] * 4) == 0
    assert math.isclose(variation([1.0, 3.0]), math.sqrt(2) / 2)


def test_the_ledger_states_hypothesis_numbers_and_command(tmp_path: Path):
    names = ["epochs-entropy", "c3po-stability"]
    work, out = tmp_path / "work", tmp_path / "ledger"
    arguments = [*names, "--seeds", "0,1,2", "--recipe", str(RECIPE), "--work", str(work), "--out", str(out)]
    done = CliRunner().invoke(app, ["claims", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for name in names:
        record = json.loads((out / f"{name}.json").read_text())
        assert record["hypothesis"] == CLAIMS[name].hypothesis
        assert record["seeds"] == [0, 1, 2]
        assert record["command"].startswith(f"ringlite train claims {' '.join(names)}")
        assert all(part["verdict"] and part["why"] for part in record["parts"])
        picture = (out / f"{name}.svg").read_text()
        assert picture.count("<polyline") >= 2
        assert "href" not in picture
    tokens = json.loads((out / "c3po-stability.json").read_text())["parts"][0]
    assert tokens["verdict"] == "supported"  # constant tokens are C3PO's definition, at any scale
    assert table(out).count("\n") == 2 + len(names)
    before = {path: path.stat().st_mtime_ns for path in work.rglob("manifest.json")}
    CliRunner().invoke(app, ["claims", *arguments], catch_exceptions=False)
    assert {path: path.stat().st_mtime_ns for path in work.rglob("manifest.json")} == before


def test_an_unknown_claim_is_named(tmp_path: Path):
    with pytest.raises(Exception, match=r"no claim 'stability'.*known: epochs-entropy"):
        CliRunner().invoke(app, ["claims", "stability", "--recipe", str(RECIPE)], catch_exceptions=False)
