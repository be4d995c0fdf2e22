"""Plans: costs, power, looks."""

import json
import math
from pathlib import Path

import pytest

from harness.card import load_card
from harness.errors import UsageError
from harness.plan import Assumptions, assumed_variance, follow, plan
from harness.plan_file import load_plan
from harness.published import find_target
from harness.scoring import score_run
from harness.statistics import samples_needed
from harness.types import Grade, Sample

CARD = load_card("aime24")
PUBLISHED = find_target("ring-lite").scores["aime24"]


def test_costs_follow_from_the_samples() -> None:
    made = plan(CARD, PUBLISHED, Assumptions(910.0, "given", 10_000, "given", 5_000, 8))
    assert made.samples == made.needed == samples_needed(910.0, 30, 64, 0.005, 4) == 31
    assert made.total == 31 * 30
    assert made.tokens == made.total * 10_000
    assert made.gpu_hours == pytest.approx(made.tokens / 5_000 / 3600 * 8)
    assert made.decidable_margin <= 4
    assert made.smallest_margin == pytest.approx(2.265, abs=0.001)


def test_a_given_n_says_what_it_decides() -> None:
    few = plan(CARD, PUBLISHED, Assumptions(910.0, "given"), samples=4)
    many = plan(CARD, PUBLISHED, Assumptions(910.0, "given"), samples=256)
    assert few.decidable_margin > 4 > many.decidable_margin > many.smallest_margin
    assert few.visible == pytest.approx(few.decidable_margin, rel=0.03)  # 3.24 against 3.29 standard errors
    assert few.tokens is None
    assert few.gpu_hours is None


def test_undecidable_costs_nothing() -> None:
    made = plan(CARD, find_target("qwen3-8b-thinking").scores["aime24"], Assumptions(910.0, "given", 1000))
    assert math.isinf(made.needed)
    assert (made.samples, made.total, made.tokens) == (0, 0, None)
    assert math.isnan(made.decidable_margin)


def test_looks_keep_power_and_error_rates_and_save_samples() -> None:
    fixed = plan(CARD, PUBLISHED, Assumptions(910.0, "given"))
    made = plan(CARD, PUBLISHED, Assumptions(910.0, "given"), looks=4)
    schedule = made.schedule
    assert schedule is not None
    assert len(schedule.looks) == 4
    assert schedule.looks[-1].samples == made.samples >= fixed.samples
    assert schedule.equal.reproduced >= 0.9
    assert schedule.equal.expected < fixed.samples
    assert schedule.double.refuted >= 0.9
    # 20,000 simulated runs: 3.3 standard deviations of 5 % are 0.5 %.
    assert schedule.at_margin.reproduced <= 0.055
    assert schedule.at_margin.refuted <= 0.055


def test_the_assumed_variance_is_half_the_largest() -> None:
    assert assumed_variance(PUBLISHED) == pytest.approx(0.5 * 76.61 * 23.39)


def run_of(n: int, right: float):
    samples = [Sample("t", "aime24", f"p{i}", k, k, f"{i} {k}", "stop") for i in range(30) for k in range(n)]
    grades = [Grade("t", "aime24", f"p{i}", k, "m", k < round(right * n), "ok") for i in range(30) for k in range(n)]
    return score_run(samples, grades, benchmark="aime24", task="t", scorer="m")


def test_following_a_schedule() -> None:
    schedule = plan(CARD, PUBLISHED, Assumptions(1800.0, "given"), looks=4).schedule
    assert schedule is not None
    sizes = [look.samples for look in schedule.looks]
    first = follow(schedule.looks, 4.0, run_of(sizes[0], 0.766), PUBLISHED)
    assert (first.number, first.of, first.stop, first.next_samples) == (1, 4, False, sizes[1])
    assert first.test.interval.high - first.test.interval.low == pytest.approx(
        2 * schedule.looks[0].boundary * first.test.se
    )
    far = follow(schedule.looks, 4.0, run_of(sizes[0], 0.3), PUBLISHED)
    assert (far.stop, far.test.outcome) == (True, "not reproduced")
    last = follow(schedule.looks, 4.0, run_of(sizes[-1], 0.766), PUBLISHED)
    assert (last.stop, last.next_samples, last.test.outcome) == (True, None, "reproduced")
    with pytest.raises(UsageError, match=f"sample up to -n {sizes[1]} first"):
        follow(schedule.looks, 4.0, run_of(sizes[0] + 1, 0.766), PUBLISHED)


def test_the_command(ringlite, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    done = ringlite(
        "plan", "--benchmarks", "aime24,math500", "--looks", "3", "--rate", "4000", "--gpus", 8, "--out", out
    )
    assert done.returncode == 0, done.stderr
    assert "AIME 2024" in done.stdout
    assert "look at n =" in done.stdout
    stored = load_plan(out)
    assert [item.benchmark for item in stored.benchmarks] == ["aime24", "math500"]
    assert json.loads(out.read_text())["benchmarks"][0]["gpu_hours"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmarks", "aime2024"], "did you mean 'aime24'"),
        (["--benchmarks", "humaneval"], "has no score of humaneval"),
        (["--variance", "0.4"], "at most 0.25"),
        (["--margin", "-1"], "must be above 0"),
        (["--rate", "0"], "must be above 0"),
        (["--spending", "pockock"], "did you mean 'pocock'"),
        (["--follow", "x.json"], "needs the run to look at"),
        (["--against", "ring-light"], "did you mean"),
    ],
)
def test_bad_input(ringlite, arguments: list[str], message: str) -> None:
    done = ringlite("plan", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_foreign_plan_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"schema_version": 1, "against": "ring-lite"}')
    with pytest.raises(UsageError, match="key 'benchmarks' is missing"):
        load_plan(path)
    path.write_text("not json")
    with pytest.raises(UsageError, match=r"plan\.json"):
        load_plan(path)
