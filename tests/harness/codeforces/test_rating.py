"""Ratings against a direct reading of the formula, and against real rounds."""

import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.codeforces import expected_rating, load_rounds, performances, rating_changes
from harness.codeforces.bias import measure_round

fields = st.lists(st.integers(-100, 4000), min_size=1, max_size=40)


def seed_of(rating: int, ratings: list[int]) -> float:
    return 1 + sum(1 / (1 + 10 ** ((rating - other) / 400)) for other in ratings)


@settings(max_examples=60, deadline=None)
@given(fields, st.data())
def test_expected_rating_is_the_largest_with_at_least_that_rank(ratings: list[int], data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, len(ratings)))
    rating = expected_rating(rank, ratings)
    assert 0 <= rating < max(max(ratings) + 100, 1)
    if rating > 0:
        assert seed_of(rating, ratings) >= rank - 1e-9
    if rating < max(ratings) + 99:
        assert seed_of(rating + 1, ratings) < rank + 1e-9


@settings(max_examples=30, deadline=None)
@given(fields)
def test_a_better_rank_never_gives_a_lower_rating(ratings: list[int]) -> None:
    by_rank = [expected_rating(rank, ratings) for rank in range(len(ratings) + 1)]
    assert by_rank == sorted(by_rank, reverse=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=3, max_size=30), st.data())
def test_changes_do_not_depend_on_the_order_of_the_standings(
    results: list[tuple[int, int]], data: st.DataObject
) -> None:
    # Distinct ratings: Codeforces itself breaks ties among the top by position.
    ratings = data.draw(st.lists(st.integers(0, 3500), min_size=len(results), max_size=len(results), unique=True))
    order = data.draw(st.permutations(range(len(results))))
    straight = rating_changes(results, ratings)
    shuffled = rating_changes([results[i] for i in order], [ratings[i] for i in order])
    assert [straight[i] for i in order] == shuffled


def test_changes_sum_below_zero_and_the_winner_performs_without_bound() -> None:
    ratings = [1500 + 10 * i for i in range(60)]
    results = [(float(100 - i), 0.0) for i in range(60)]
    assert sum(rating_changes(results, ratings)) <= 0
    performed = performances(results, ratings)
    assert performed[0] == math.inf
    assert performed == sorted(performed, reverse=True)


def test_an_empty_contest_is_an_error() -> None:
    with pytest.raises(ValueError, match="participants"):
        expected_rating(1, [])


@pytest.mark.data
def test_real_rounds_are_reproduced_and_the_bias_is_positive() -> None:
    data = os.environ.get("RINGLITE_DATA")
    if not data:
        pytest.skip("RINGLITE_DATA is not set: no real standings")
    rounds = load_rounds(Path(data) / "codeforces" / "carrot_rounds.jsonl")
    assert len(rounds) == 3
    for name, rows in rounds.items():
        measured = measure_round(name, rows, sample=40, seed=0)
        assert measured.changes_reproduced == 1.0, name
        assert measured.performances_reproduced >= 0.95, name
        # Measured with other samples: medians of 47, 75 and 73 points.
        assert 40 <= measured.median <= 80, measured
