"""Seeded simulations: coverage of both intervals, error rates of the verdict, and of its sequential version."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.statistics import (
    Counts,
    Interval,
    difference_error,
    equivalence,
    overdispersion,
    samples_needed,
    sampling_interval,
    total_interval,
    within_variance,
)
from harness.statistics.sequential import boundaries, course

RUNS = 2000


def tolerance(rate: float, runs: int = RUNS) -> float:
    """Monte-Carlo error: 3.3 standard deviations of a share (one in a thousand, both sides)."""
    return 3.3 * math.sqrt(rate * (1 - rate) / runs)


def difficulties(problems: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).beta(1.6, 0.6, problems)


@pytest.mark.parametrize(("problems", "n"), [(30, 64), (198, 16), (500, 4)])
def test_the_sampling_interval_covers_the_mean_of_these_problems(problems: int, n: int) -> None:
    p, rng = difficulties(problems), np.random.default_rng(11)
    truth = p.mean()
    hits = sum(truth in sampling_interval(Counts.of(rng.binomial(n, p), n)) for _ in range(RUNS))
    assert hits / RUNS == pytest.approx(0.95, abs=tolerance(0.95))


@pytest.mark.parametrize(("problems", "n"), [(30, 64), (198, 16)])
def test_the_total_interval_covers_the_mean_over_all_problems(problems: int, n: int) -> None:
    rng = np.random.default_rng(12)
    truth = 2.0 / 4.0
    hits = sum(truth in total_interval(Counts.of(rng.binomial(n, rng.beta(2, 2, problems)), n)) for _ in range(RUNS))
    assert hits / RUNS == pytest.approx(0.95, abs=tolerance(0.95))


def test_the_sampling_interval_does_not_cover_new_problems() -> None:
    rng = np.random.default_rng(13)
    hits = sum(0.5 in sampling_interval(Counts.of(rng.binomial(64, rng.beta(2, 2, 30)), 64)) for _ in range(500))
    assert hits / 500 < 0.6


def rates(problems: int, n: int, m: int, margin: float, shift: float) -> dict[str, float]:
    """Shares of the verdicts when the true difference is ``shift`` points and the published side drew m samples.

    Difficulties lie symmetrically about one half, so that both sides have the same v, as the formula takes it.
    """
    rng = np.random.default_rng(21)
    half = np.random.default_rng(5).uniform(0.06, 0.5, problems // 2)
    p = np.concatenate([half, 1 - half, [0.5] * (problems % 2)])
    theirs, ours = p - shift / 200, p + shift / 200
    found = {"reproduced": 0, "not reproduced": 0, "inconclusive": 0}
    for _ in range(RUNS):
        published = round(100 * rng.binomial(m, theirs).mean() / m, 2)
        counts = Counts.of(rng.binomial(n, ours), n)
        se = difference_error(1e4 * within_variance(counts), problems, n, m, 0.005)
        found[equivalence(100 * counts.rates.mean() - published, se, margin).outcome] += 1
    return {name: number / RUNS for name, number in found.items()}


@pytest.mark.parametrize(("problems", "n", "m", "margin"), [(30, 64, 64, 4.0), (198, 16, 16, 3.0), (279, 8, 8, 3.0)])
def test_verdict_error_rates(problems: int, n: int, m: int, margin: float) -> None:
    at_margin = rates(problems, n, m, margin, margin)
    assert at_margin["reproduced"] == pytest.approx(0.05, abs=tolerance(0.05))
    assert at_margin["not reproduced"] == pytest.approx(0.05, abs=tolerance(0.05))
    assert rates(problems, n, m, margin, 2 * margin)["reproduced"] <= 0.001
    equal = rates(problems, n, m, margin, 0.0)
    assert equal["not reproduced"] <= 0.001
    assert equal["reproduced"] > 0.3


def test_the_number_of_samples_needed_gives_the_power() -> None:
    half = np.random.default_rng(5).uniform(0.06, 0.5, 99)
    v = 1e4 * float((half * (1 - half)).mean())
    n = int(samples_needed(v, 198, 32, 0.005, 3.0))
    power = rates(198, n, 32, 3.0, 0.0)["reproduced"]
    assert power == pytest.approx(0.9, abs=0.02 + tolerance(0.9))  # n is a whole number: a little more than 90 %


def test_boundaries_are_the_published_ones() -> None:
    """Five equal looks, one-sided 2.5 %: Lan-DeMets with O'Brien-Fleming and Pocock spending (Jennison, Turnbull)."""
    equal = [1, 2, 3, 4, 5]
    assert boundaries(equal, 0.025) == pytest.approx((4.877, 3.357, 2.680, 2.290, 2.031), abs=0.001)
    assert boundaries(equal, 0.025, "pocock") == pytest.approx((2.438, 2.427, 2.410, 2.397, 2.386), abs=0.001)
    assert boundaries([3.0]) == pytest.approx((1.6449,), abs=1e-4)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_sequential_verdicts_keep_the_error_rates(spending: str) -> None:
    """Whole runs, sample by sample: the published side is drawn once, ours grows, each look takes its boundary."""
    problems, m, margin, looks = 30, 64, 4.0, (16, 32, 48, 64)
    rng, half = np.random.default_rng(31), np.random.default_rng(5).uniform(0.1, 0.5, problems // 2)
    p = np.concatenate([half, 1 - half])
    v = 1e4 * float((p * (1 - p)).mean())
    information = [1 / difference_error(v, problems, n, m, 0.005) ** 2 for n in looks]
    limits = boundaries(information, 0.05, spending)  # type: ignore[arg-type]

    def run(shift: float) -> str:
        published = round(100 * rng.binomial(m, p - shift / 200).mean() / m, 2)
        correct = np.zeros(problems, dtype=int)
        before = 0
        for n, limit in zip(looks, limits, strict=True):
            correct += rng.binomial(n - before, p + shift / 200)
            before = n
            counts = Counts.of(correct, n)
            se = difference_error(1e4 * within_variance(counts), problems, n, m, 0.005)
            outcome = equivalence(100 * counts.rates.mean() - published, se, margin, limit).outcome
            if outcome != "inconclusive":
                return outcome
        return "inconclusive"

    at_margin = [run(margin) for _ in range(RUNS)]
    assert at_margin.count("reproduced") / RUNS <= 0.05 + tolerance(0.05)
    assert at_margin.count("not reproduced") / RUNS <= 0.05 + tolerance(0.05)
    assert at_margin.count("reproduced") / RUNS >= 0.05 - 2 * tolerance(0.05)
    assert [run(2 * margin) for _ in range(500)].count("reproduced") == 0
    assert [run(0.0) for _ in range(500)].count("not reproduced") == 0


def test_looks_without_boundaries_would_not_keep_them() -> None:
    information, sizes = [1, 2, 3, 4, 5, 6, 7, 8], [1.0] * 8
    naive = course(information, [1.645] * 8, 2.0, 2.0, sizes)
    kept = course(information, boundaries(information), 2.0, 2.0, sizes)
    assert naive.refuted > 0.09
    assert kept.refuted == pytest.approx(0.05, abs=tolerance(0.05, 20_000))
    assert kept.reproduced == pytest.approx(0.05, abs=tolerance(0.05, 20_000))


@pytest.mark.parametrize(
    ("spread", "least", "most"), [(0.0, 0.0, 0.09), (0.35, 0.9, 1.0)], ids=["same", "runs that drift"]
)
def test_overdispersion_sees_drift_and_nothing_else(spread: float, least: float, most: float) -> None:
    p, rng = difficulties(30), np.random.default_rng(41)

    def logit_shift() -> np.ndarray:
        odds = np.log(p / (1 - p)) + rng.normal(0, spread * 3)
        return 1 / (1 + np.exp(-odds))

    alarms = 0
    for _ in range(100):
        runs = [Counts.of(rng.binomial(16, logit_shift()), 16) for _ in range(4)]
        alarms += overdispersion(runs, draws=199).p_between_runs < 0.05
    assert least <= alarms / 100 <= most + (tolerance(0.05, 100) if spread == 0 else 0)


def test_interval_knows_what_it_holds() -> None:
    check: Callable[[float], bool] = Interval(0.2, 0.4, 0.95).__contains__
    assert [check(x) for x in (0.2, 0.3, 0.41)] == [True, True, False]
