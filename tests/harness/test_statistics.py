"""One property test per formula: against brute force, against the library that has it, or against its definition."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.errors import UsageError
from harness.statistics import (
    Counts,
    avg_at_n,
    chi_square_of_runs,
    clustered_interval,
    difference_error,
    equivalence,
    g_pass_at_k,
    holm,
    mg_pass_at_k,
    overdispersion,
    paired,
    pass_at_k,
    pass_at_k_per_problem,
    power_factor,
    samples_needed,
    sampling_interval,
    se_clustered,
    se_samp,
    se_total,
    smallest_margin,
    total_interval,
    within_variance,
)


@st.composite
def counts(draw: st.DrawFn, least: int = 1, most: int = 12, problems: int = 1) -> Counts:
    n = draw(st.lists(st.integers(least, most), min_size=problems, max_size=15))
    return Counts.of([draw(st.integers(0, k)) for k in n], n)


@given(counts())
def test_avg_is_the_mean_over_problems(c: Counts) -> None:
    exact = sum(Fraction(int(a), int(n)) for a, n in zip(c.correct, c.samples, strict=True)) / c.problems
    assert avg_at_n(c) == pytest.approx(float(exact))


@given(counts(least=2))
def test_within_variance_is_the_mean_sample_variance(c: Counts) -> None:
    verdicts = [[1.0] * int(a) + [0.0] * int(n - a) for a, n in zip(c.correct, c.samples, strict=True)]
    plain = float(np.mean([np.var(row, ddof=1) for row in verdicts]))
    assert within_variance(c, floor=False) == pytest.approx(plain)
    assert within_variance(c) == pytest.approx(plain) if plain else within_variance(c) > 0


@given(counts(least=2))
def test_se_samp_is_the_error_of_a_sum_of_independent_means(c: Counts) -> None:
    verdicts = [[1.0] * int(a) + [0.0] * int(n - a) for a, n in zip(c.correct, c.samples, strict=True)]
    variance = sum(np.var(row, ddof=1) / len(row) for row in verdicts) / c.problems**2
    assert se_samp(c, floor=False) == pytest.approx(math.sqrt(variance))


@given(st.integers(2, 40), st.integers(2, 64), st.data())
def test_equal_n_gives_the_formula_of_the_specification(problems: int, n: int, data: st.DataObject) -> None:
    c = Counts.of([data.draw(st.integers(0, n)) for _ in range(problems)], n)
    v = within_variance(c)
    assert se_samp(c) == pytest.approx(math.sqrt(v / (problems * n)))
    if np.ptp(c.rates) > 0:
        assert se_total(c) == pytest.approx(stats.sem(c.rates))


@given(st.integers(1, 50), st.integers(2, 64), st.booleans())
def test_certainty_is_never_claimed(problems: int, n: int, right: bool) -> None:
    c = Counts.of([n * right] * problems, n)
    p = (n * right + 0.5) / (n + 1)
    assert within_variance(c) == pytest.approx(p * (1 - p) * n / (n - 1))
    assert within_variance(c, floor=False) == 0
    assert se_samp(c) > 0
    if problems > 1:
        assert se_total(c) >= se_samp(c)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_one_sample_takes_the_bound(right: list[int]) -> None:
    c = Counts.of(right, 1)
    mean = sum(right) / len(right)
    if mean in (0, 1):
        mean = (sum(right) + 0.5) / (len(right) + 1)
    assert within_variance(c) == pytest.approx(mean * (1 - mean))
    assert math.isnan(within_variance(c, floor=False))
    assert math.isnan(se_samp(c, floor=False))


@given(counts(problems=2))
def test_intervals_hold_the_score_and_stay_inside(c: Counts) -> None:
    for interval in (sampling_interval(c), total_interval(c)):
        assert 0 <= interval.low <= avg_at_n(c) + 1e-12
        assert avg_at_n(c) - 1e-12 <= interval.high <= 1
    wide, narrow = sampling_interval(c, 0.99), sampling_interval(c, 0.5)
    assert wide.low <= narrow.low
    assert wide.high >= narrow.high


def test_undefined_is_nan() -> None:
    none, one = Counts.of([], []), Counts.of([1], 2)
    for figure in (avg_at_n, within_variance, se_samp, se_total):
        assert math.isnan(figure(none))
    assert math.isnan(se_total(one))
    assert math.isnan(total_interval(one).low)
    assert math.isnan(sampling_interval(none).high)
    assert math.isnan(pass_at_k(none, 1))
    assert math.isnan(pass_at_k(Counts.of([4, 1], [4, 1]), 2))
    assert math.isnan(mg_pass_at_k(Counts.of([4], 4), 1))
    assert math.isnan(se_clustered(Counts.of([1, 2], 4), ["a", "a"]))
    assert math.isnan(clustered_interval(Counts.of([1, 2], 4), ["a", "a"]).low)
    assert math.isnan(chi_square_of_runs([0.5], [0.1])[0])


@settings(max_examples=40)
@given(st.integers(1, 8), st.data())
def test_g_pass_counts_subsets(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    tau = Fraction(data.draw(st.integers(0, 4)), 4)
    subsets = list(itertools.combinations([1] * c + [0] * (n - c), k))
    need = max(math.ceil(tau * k), 1)
    chance = sum(sum(chosen) >= need for chosen in subsets) / len(subsets)
    assert g_pass_at_k(Counts.of([c], n), k, tau) == pytest.approx(chance)


@given(st.integers(1, 30), st.data())
def test_pass_at_k_is_the_published_estimator(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    expected = 1 - math.comb(n - c, k) / math.comb(n, k)
    assert pass_at_k(Counts.of([c], n), k) == pytest.approx(expected)
    assert pass_at_k_per_problem(Counts.of([c], n), k)[0] == pytest.approx(expected)
    assert pass_at_k(Counts.of([c], n), 1) == pytest.approx(c / n)


def test_g_pass_rounds_tau_k_exactly() -> None:
    # In floats 0.1 * 30 is 3.0000000000000004, whose ceiling is 4.
    assert g_pass_at_k(Counts.of([3], 30), 30, 0.1) == 1
    with pytest.raises(UsageError, match="between 0 and 1"):
        g_pass_at_k(Counts.of([3], 30), 30, 1.5)
    with pytest.raises(UsageError, match="at least 1"):
        pass_at_k(Counts.of([3], 30), 0)


@given(st.integers(2, 9), st.data())
def test_mg_pass_is_the_area_over_the_upper_half(n: int, data: st.DataObject) -> None:
    c, k = Counts.of([data.draw(st.integers(0, n))], n), data.draw(st.integers(2, n))
    steps = [g_pass_at_k(c, k, Fraction(i, k)) for i in range(math.ceil(k / 2) + 1, k + 1)]
    assert mg_pass_at_k(c, k) == pytest.approx(2 / k * sum(steps))


@given(counts(problems=2), st.data())
def test_paired_is_the_one_sample_t_test(a: Counts, data: st.DataObject) -> None:
    b = Counts.of([data.draw(st.integers(0, int(n))) for n in a.samples], a.samples)
    d = a.rates - b.rates
    result = paired(a, b)
    assert result.difference == pytest.approx(d.mean(), abs=1e-12)
    assert result.se_samp == pytest.approx(math.hypot(se_samp(a), se_samp(b)))
    if np.ptp(d) > 1e-9:
        reference = stats.ttest_1samp(d, 0)
        assert result.se == pytest.approx(stats.sem(d))
        assert result.p_value == pytest.approx(reference.pvalue)
        assert (result.interval.low, result.interval.high) == pytest.approx(reference.confidence_interval(0.95))


@given(counts(problems=2))
def test_clusters_of_one_are_no_clusters(c: Counts) -> None:
    assert se_clustered(c, range(c.problems)) == pytest.approx(se_total(c, floor=False), abs=1e-15)


def test_an_item_in_two_languages_counts_once() -> None:
    once = Counts.of([1, 4, 2, 3, 0], 4)
    twice = Counts.of([1, 4, 2, 3, 0] * 2, 4)
    labels = list(range(5)) * 2
    assert se_clustered(twice, labels) == pytest.approx(se_total(once))
    assert se_total(twice) < se_total(once)
    with pytest.raises(UsageError, match="one label a problem"):
        se_clustered(twice, [1, 2])


def test_counts_refuse_nonsense() -> None:
    with pytest.raises(UsageError, match="between 0 and n"):
        Counts.of([3], [2])
    with pytest.raises(UsageError, match="between 0 and n"):
        Counts.of([0], [0])
    with pytest.raises(UsageError, match="same length"):
        Counts.of([1, 1], [2])
    assert Counts.of_verdicts([[True, False], [True]]).correct.tolist() == [1, 1]
    assert Counts.of([1, 1], [1, 3]).samples_per_problem == pytest.approx(1.5)


@given(
    st.floats(-20, 20),
    st.floats(0.01, 10),
    st.floats(0.1, 10),
)
def test_equivalence_is_where_the_interval_lies(difference: float, se: float, margin: float) -> None:
    result = equivalence(difference, se, margin)
    low, high = result.interval.low, result.interval.high
    inside, outside = -margin < low and high < margin, low > margin or high < -margin
    assert result.outcome == ("reproduced" if inside else "not reproduced" if outside else "inconclusive")
    assert (result.outcome == "reproduced") == (result.p_equivalent < 0.05)
    assert (result.outcome == "not reproduced") == (result.p_different < 0.05)
    assert result.zero_excluded == (abs(difference) > 1.959964 * se)


def test_the_table_of_the_specification() -> None:
    """AIME24, AIME25, GPQA-D, LiveCodeBench, MATH-500: P, m, v, SE_samp, smallest delta, n for 3, n for 4."""
    rows = [
        (30, 64, 0.091, 0.68, 2.3, 85, 31),
        (30, 64, 0.107, 0.74, 2.5, 129, 39),
        (198, 16, 0.129, 0.64, 2.1, 16, 7),
        (279, 8, 0.080, 0.60, 2.0, 7, 3),
        (500, 4, 0.012, 0.25, 0.8, 1, 1),
    ]
    for problems, m, v, se, delta, n3, n4 in rows:
        points = 1e4 * v
        assert math.sqrt(points / (problems * m)) == pytest.approx(se, abs=0.01)  # the table's v has two digits
        assert smallest_margin(points, problems, m, 0.005) == pytest.approx(delta, abs=0.06)
        assert samples_needed(points, problems, m, 0.005, 3) == pytest.approx(n3, rel=0.02)
        assert samples_needed(points, problems, m, 0.005, 4) == n4
    assert power_factor() == pytest.approx(3.29, abs=0.001)


@given(st.floats(1, 2500), st.integers(1, 500), st.integers(1, 64), st.floats(0.5, 10))
def test_needed_samples_are_enough_and_no_more(v: float, problems: int, m: int, margin: float) -> None:
    n = samples_needed(v, problems, m, 0.005, margin)
    least = smallest_margin(v, problems, m, 0.005)
    if math.isinf(n):
        assert margin <= least * (1 + 1e-9)
        return
    assert margin >= least
    assert power_factor() * difference_error(v, problems, n, m, 0.005) <= margin * (1 + 1e-9)
    if n > 1:
        assert power_factor() * difference_error(v, problems, n - 1, m, 0.005) > margin * (1 - 1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_as_the_step_down_rule_does(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    rejected: set[int] = set()
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - rank) >= 0.05:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(adjusted) if p < 0.05} == rejected
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))


def test_holm_leaves_out_what_is_undefined() -> None:
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.02)


def test_overdispersion_ratio_has_mean_one_over_all_deals() -> None:
    """Exact: the mean of the ratio over every way to deal the right answers to two runs is 1."""
    n, totals = 3, [2, 4]
    weights, ratios = [], []
    for deal in itertools.product(*(range(max(0, k - n), min(n, k) + 1) for k in totals)):
        weights.append(math.prod(math.comb(n, c) * math.comb(n, k - c) for c, k in zip(deal, totals, strict=True)))
        runs = [Counts.of(deal, n), Counts.of([k - c for c, k in zip(deal, totals, strict=True)], n)]
        found = overdispersion(runs, draws=1)
        ratios.append((found.per_problem, found.between_runs))
    mean = np.average(ratios, axis=0, weights=weights)
    assert mean == pytest.approx([1, 1])


def test_overdispersion_needs_comparable_runs() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        overdispersion([Counts.of([1], 2)])
    with pytest.raises(UsageError, match="same problems"):
        overdispersion([Counts.of([1], 2), Counts.of([1, 1], 2)])
    flat = overdispersion([Counts.of([2, 0], 2)] * 2)
    assert math.isnan(flat.per_problem)
    assert math.isnan(flat.p_between_runs)


def test_cochran_q_is_the_heterogeneity_of_a_fixed_effect_model() -> None:
    q, p = chi_square_of_runs([0.5, 0.6, 0.4], [0.05, 0.05, 0.05])
    assert q == pytest.approx(0.02 / 0.05**2)
    assert p == pytest.approx(stats.chi2.sf(q, 2))
