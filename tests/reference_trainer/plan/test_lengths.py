"""Response lengths: the law has the mean it was given, and measured ones come back as they were."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.plan.lengths import Lognormal, Trajectory, limited_mean, read_measured, sigma_of


@given(st.floats(10, 20_000), st.floats(0.1, 1.5))
def test_the_mean_under_the_limit_is_the_one_asked_for(mean, sigma):
    law = Lognormal(mean, sigma, 24_576)
    assert limited_mean(law.at(mean), sigma, 24_576) == pytest.approx(mean, rel=1e-6)


@settings(max_examples=10)
@given(st.floats(500, 20_000), st.floats(0.2, 1.2), st.floats(0, 1))
def test_drawn_lengths_have_the_mean_and_stay_under_the_limit(mean, sigma, share):
    drawn = Lognormal(mean, sigma, 24_576, prompt_share=share).draw_at(mean, 4000, 8, np.random.default_rng(0))
    assert drawn.shape == (4000, 8)
    assert drawn.min() >= 1
    assert drawn.max() <= 24_576
    assert drawn.mean() == pytest.approx(mean, rel=0.06)


def test_prompts_share_as_much_of_the_variance_as_was_said():
    def between(share):
        law = Lognormal(1000, 0.5, 10**9, prompt_share=share)
        logs = np.log(law.draw_at(1000, 3000, 16, np.random.default_rng(0)))
        within = logs.var(1, ddof=1).mean()
        return 1 - within / logs.var()

    assert between(0.0) == pytest.approx(0.0, abs=0.02)
    assert between(0.5) == pytest.approx(0.5, abs=0.03)
    assert between(1.0) > 0.99


def test_percentiles_give_sigma():
    draws = np.exp(8 + 0.7 * np.random.default_rng(0).standard_normal(200_000))
    assert sigma_of(*np.quantile(draws, [0.5, 0.9])) == pytest.approx(0.7, rel=0.02)
    with pytest.raises(UsageError, match="percentiles must rise"):
        sigma_of(10, 10)


def test_the_mean_grows_and_wanders_as_it_was_told():
    random = np.random.default_rng(0)
    assert Lognormal(1000, 0.5, 10**6, growth=0.01).means(50, random).tolist() == pytest.approx(
        (1000 * 1.01 ** np.arange(50)).tolist()
    )
    logs = np.log(Lognormal(1000, 0.5, 10**6, drift=0.1, memory=0.9).means(40_000, random) / 1000)
    assert logs.std() == pytest.approx(0.1, rel=0.1)
    assert np.corrcoef(logs[:-1], logs[1:])[0, 1] == pytest.approx(0.9, abs=0.02)
    assert Lognormal(1000, 0.5, 1100, growth=0.5).means(9, random).max() <= 1100


def test_seeds_repeat_and_differ():
    law = Lognormal(100, 0.5, 1000, drift=0.2)
    first, second, other = (Trajectory(law, 5, seed) for seed in (3, 3, 4))
    for step in range(5):
        assert (first.draw(step, 4, 2) == second.draw(step, 4, 2)).all()
        assert not (first.draw(step, 4, 2) == other.draw(step, 4, 2)).all()
        assert not (first.draw(step, 4, 2) == first.draw(step, 4, 2, again=1)).all()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mean": 2000}, "must lie between 1 and the limit"),
        ({"sigma": 0}, "sigma above 0"),
        ({"memory": 1.0}, "memory in"),
        ({"growth": -1}, "relative change"),
    ],
)
def test_impossible_laws_are_refused(wrong, says):
    with pytest.raises(UsageError, match=says):
        Lognormal(**{"mean": 100, "sigma": 0.5, "limit": 1000, **wrong})


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_metrics_of_a_run_give_the_means_scaled(tmp_path):
    path = lines(
        tmp_path / "metrics.jsonl", [{"step": 1, "response_length": 8.0}, {"step": 2, "response_length": 24.0}]
    )
    measured = read_measured(path, Lognormal(1600, 0.4, 10**6))
    trajectory = Trajectory(measured, 4, 0)
    means = [trajectory.draw(step, 2000, 8).mean() for step in range(4)]
    assert measured.scale == 100
    assert means == pytest.approx([800, 2400, 800, 2400], rel=0.05), "a longer simulation begins the run again"


@pytest.mark.parametrize("form", ["length", "lengths"])
def test_recorded_lengths_are_drawn_from(tmp_path, form):
    recorded = {1: [10, 20], 2: [40, 50]}
    rows = [{"step": step, "lengths": values} for step, values in recorded.items()]
    if form == "length":
        rows = [{"step": step, "length": value} for step, values in recorded.items() for value in values]
    measured = read_measured(lines(tmp_path / "rollouts.jsonl", rows), Lognormal(60, 0.4, 90))
    trajectory = Trajectory(measured, 2, 0)
    assert set(trajectory.draw(0, 50, 4).reshape(-1).tolist()) == {20, 40}
    assert set(trajectory.draw(1, 50, 4).reshape(-1).tolist()) == {80, 90}, "and the limit holds"


@pytest.mark.parametrize(
    ("row", "says"),
    [({"step": 1, "reward": 1.0}, "holds no lengths"), ({"step": 1, "length": 0}, "row 1: a length is")],
)
def test_a_file_without_lengths_is_named(tmp_path, row, says):
    path = lines(tmp_path / "metrics.jsonl", [row])
    with pytest.raises(UsageError, match=says) as caught:
        read_measured(path, Lognormal(100, 0.5, 1000))
    assert str(path) in str(caught.value)
