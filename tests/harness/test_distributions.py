"""Our thin layer over scipy's special functions against ``scipy.stats`` itself."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics import distributions

SHARES = st.floats(1e-12, 1 - 1e-12)
REALS = st.floats(-30, 30)
DEGREES = st.integers(1, 2_000)


@settings(max_examples=300, deadline=None)
@given(SHARES, REALS, DEGREES)
def test_the_same_values_as_scipy_stats(p, x, degrees):
    assert distributions.normal_quantile(p) == stats.norm.ppf(p)
    assert distributions.normal_below(x) == stats.norm.cdf(x)
    assert distributions.normal_above(x) == stats.norm.sf(x)
    assert distributions.normal_density(x) == pytest.approx(stats.norm.pdf(x), rel=1e-13, abs=1e-300)
    assert distributions.t_quantile(p, degrees) == stats.t.ppf(p, degrees)
    assert distributions.t_above(x, degrees) == stats.t.sf(x, degrees)
    assert distributions.chi_square_above(abs(x), degrees) == stats.chi2.sf(abs(x), degrees)


def test_arrays_go_through():
    points = np.linspace(-3, 3, 7)
    assert np.array_equal(distributions.normal_above(points), stats.norm.sf(points))
    assert np.allclose(distributions.normal_density(points), stats.norm.pdf(points), rtol=1e-14)


def test_nothing_is_known_without_a_degree_of_freedom():
    assert math.isnan(distributions.t_quantile(0.975, 0))
    assert math.isnan(distributions.t_above(1.0, 0))


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_drawing_without_replacement(data):
    n = data.draw(st.integers(1, 300))
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    least = data.draw(st.integers(0, k + 1))
    expected = stats.hypergeom.sf(least - 1, n, right, k)
    assert distributions.drawn_at_least(least, n, right, k) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_drawing_counts_every_hand():
    hands = [(a, b, c) for a in range(6) for b in range(a + 1, 6) for c in range(b + 1, 6)]
    for least in range(5):
        share = sum(sum(card < 4 for card in hand) >= least for hand in hands) / len(hands)
        assert distributions.drawn_at_least(least, 6, 4, 3) == pytest.approx(share, abs=1e-15)
