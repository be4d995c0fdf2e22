"""Scores, ranks, percentiles and the evaluation over contests."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.codeforces import (
    Contest,
    ContestProblem,
    Distribution,
    StandingsRow,
    evaluate,
    load_contests,
    rank_of,
    score_submissions,
)
from harness.errors import UsageError


def contest(name: str = "1", points: float | None = 500.0, people: int = 300) -> Contest:
    return Contest(
        id=name,
        problems=[ContestProblem(id=letter, points=points) for letter in "ABC"],
        standings=[StandingsRow(points=5.0 * i, penalty=0, rating=800 + 5 * i) for i in range(people)],
    )


def test_points_fall_by_fifty_for_each_wrong_submission_and_not_below_zero() -> None:
    score = score_submissions(contest(), {"A": [False, False, True, False], "B": [False] * 12 + [True], "C": [False]})
    assert (score.points, score.penalty, score.solved) == (400.0, 0.0, ("A", "B"))


def test_without_points_problems_count_and_wrong_submissions_cost_minutes() -> None:
    score = score_submissions(contest(points=None), {"A": [True], "B": [False, True], "C": []})
    assert (score.points, score.penalty) == (2.0, 10.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30), st.integers(0, 5), st.integers(0, 5))
def test_rank_counts_whom_the_model_does_not_beat(rows: list[tuple[int, int]], points: int, penalty: int) -> None:
    standings = [StandingsRow(points=p, penalty=q, rating=1500) for p, q in rows]
    ordered = sorted(rows, key=lambda row: (-row[0], row[1]))
    first_beaten = next(
        (i for i, (p, q) in enumerate(ordered) if p < points or (p == points and q > penalty)), len(ordered)
    )
    assert rank_of(points, penalty, standings) == first_beaten


@given(st.dictionaries(st.integers(-50, 4000), st.integers(1, 50), min_size=1), st.integers(-100, 4100))
def test_percentile_is_the_share_rated_lower(counts: dict[int, int], rating: int) -> None:
    population = Distribution.of(counts)
    people = [value for value, count in counts.items() for _ in range(count)]
    assert population.size == len(people)
    assert population.percentile(rating) == pytest.approx(100 * sum(p < rating for p in people) / len(people))


def test_only_contests_with_submissions_and_participants_are_rated() -> None:
    contests = [contest("1"), contest("2"), contest("3", people=150)]
    verdicts = {"1": {"A": [True]}, "3": {"A": [True]}}
    outcome = evaluate(contests, verdicts, Distribution.of({1000: 5, 2000: 5}))
    assert [one.contest for one in outcome.contests] == ["1"]
    assert {name for name, _ in outcome.skipped} == {"2", "3"}
    assert math.isnan(outcome.rating_interval[0])
    assert outcome.percentile == 50.0


def test_nothing_rated_is_nan_and_not_zero() -> None:
    outcome = evaluate([contest("1", people=10)], {"1": {"A": [True]}}, Distribution.of({1000: 1}))
    assert math.isnan(outcome.rating)
    assert math.isnan(outcome.percentile)


def test_orders_average_over_which_sample_comes_first_and_are_seeded() -> None:
    verdicts = {"1": {"A": [False, False, True, True]}, "2": {"A": [True, False, False, False]}}
    contests = [contest("1"), contest("2")]
    given_order = evaluate(contests, verdicts)
    averaged = evaluate(contests, verdicts, orders=200, seed=1)
    assert averaged == evaluate(contests, verdicts, orders=200, seed=1)
    assert averaged.contests[0].points > given_order.contests[0].points
    assert averaged.contests[1].points < given_order.contests[1].points
    low, high = averaged.rating_interval
    assert low <= averaged.rating <= high


def test_submissions_to_an_unknown_contest_or_problem_are_an_error() -> None:
    with pytest.raises(UsageError, match="contest '9'"):
        evaluate([contest()], {"9": {"A": [True]}})
    with pytest.raises(UsageError, match="problem 'Z'"):
        evaluate([contest()], {"1": {"Z": [True]}})


def test_bad_contest_files_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "contests.jsonl"
    line = contest().model_dump_json()
    for bad, what in [('{"id": "2"', "line 2"), ('{"id": "2", "problems": []}', "standings"), (line, "twice")]:
        path.write_text(f"{line}\n{bad}\n")
        with pytest.raises(UsageError, match=what):
            load_contests(path)
    with pytest.raises(UsageError, match="cannot read"):
        load_contests(tmp_path / "absent.jsonl")


def test_the_command_rates_and_refuses(tmp_path: Path) -> None:
    contests, verdicts, people = tmp_path / "c.jsonl", tmp_path / "v.jsonl", tmp_path / "d.json"
    contests.write_text(contest("1").model_dump_json() + "\n" + contest("2").model_dump_json() + "\n")
    rows = [{"contest": c, "problem": "A", "index": i, "correct": i == 1} for c in "12" for i in (1, 0)]
    verdicts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    people.write_text(json.dumps({"1000": 10, "1800": 10, "3000": 10}))
    command = [sys.executable, "-m", "ringlite", "codeforces", "rate", str(contests), str(verdicts)]
    done = subprocess.run([*command, "--distribution", str(people), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert [one["points"] for one in outcome["contests"]] == [450.0, 450.0]
    assert outcome["percentile"] in {100 / 3, 200 / 3}
    verdicts.write_text("{}\n")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "line 1" in refused.stderr


def test_submissions_are_judged_in_the_sandbox_and_rated(tmp_path: Path) -> None:
    problem = ContestProblem(
        id="A",
        points=500,
        tests=[{"stdin": f"{n}\n", "expected": f"{n * n / 3:.9f}\n"} for n in (2, 7)],
        checker={"type": "float", "abs": 1e-6, "rel": 1e-6},
        time_s=1,
    )
    files = {name: tmp_path / name for name in ("contests", "submissions", "verdicts")}
    files["contests"].write_text(contest().model_copy(update={"problems": [problem]}).model_dump_json() + "\n")
    programs = [("python", "print(4 / 3)"), ("python", "while True: pass"), ("python", "print(int(input()) ** 2 / 3)")]
    rows = [
        {"contest": "1", "problem": "A", "index": i, "language": language, "code": code}
        for i, (language, code) in enumerate(programs)
    ]
    files["submissions"].write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "ringlite", "codeforces"]
    done = subprocess.run([*command, "judge", *map(str, files.values())], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line)["verdict"] for line in files["verdicts"].read_text().splitlines()]
    assert verdicts == ["wrong_answer", "time_limit", "accepted"]
    rated = subprocess.run(
        [*command, "rate", str(files["contests"]), str(files["verdicts"]), "--json"], capture_output=True, text=True
    )
    assert json.loads(rated.stdout)["contests"][0]["points"] == 400.0
    files["submissions"].write_text(json.dumps({**rows[0], "problem": "Z"}) + "\n")
    refused = subprocess.run([*command, "judge", *map(str, files.values())], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "no problem 'Z'" in refused.stderr
