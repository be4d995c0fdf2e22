"""Streams of samples and grades to a score."""

import math
import tracemalloc
from collections.abc import Iterator

import pytest

from harness.scoring import score_run
from harness.scoring_breakdown import in_order
from harness.types import Grade, GradeStatus, Sample


def sample(problem: str, index: int, text: str = "x", finish: str = "stop", tokens: int | None = 10) -> Sample:
    return Sample("t", "b", problem, index, index, text, finish, 5, tokens)  # type: ignore[arg-type]


def grade(problem: str, index: int, right: bool, status: GradeStatus = "ok", scorer: str = "main") -> Grade:
    return Grade("t", "b", problem, index, scorer, right, status)


def run(samples: list[Sample], grades: list[Grade], **options: object):
    return score_run(samples, grades, benchmark="b", task="t", scorer="main", **options)


def test_repeated_keys_other_tasks_and_strays_do_not_count() -> None:
    samples = [sample("p", 0), sample("p", 0, "again"), sample("p", 1), Sample("u", "b", "p", 2, 0, "x", "stop")]
    grades = [grade("p", 0, True), grade("p", 0, False), grade("p", 1, False), grade("q", 0, True), grade("p", 9, True)]
    score = run(samples, grades)
    assert (score.samples, score.score, score.stray_grades) == (2, 0.5, 2)


def test_ungraded_samples_are_in_no_figure() -> None:
    score = run([sample("p", 0), sample("p", 1), sample("q", 0)], [grade("p", 0, True)])
    assert (score.problems, score.samples, score.ungraded, score.score) == (1, 1, 2, 1.0)


def test_a_grade_that_is_not_ok_is_not_right() -> None:
    score = run([sample("p", 0)], [grade("p", 0, True, "timeout")])
    assert (score.score, score.shares.timeout) == (0, 1)


def test_shares_and_the_score_on_finished_answers() -> None:
    samples = [sample("p", 0), sample("p", 1), sample("p", 2, finish="length"), sample("p", 3, finish="length")]
    grades = [grade("p", 0, True), grade("p", 1, False, "no_answer"), grade("p", 2, True)]
    score = run(samples, [*grades, grade("p", 3, False, "truncated")])
    assert score.shares.truncated == 0.5
    assert score.shares.no_answer == 0.5
    assert score.shares.no_answer_finished == 0.5
    assert (score.finished_score, score.finished_samples) == (0.5, 2)


def test_unknown_ends_are_unknown_not_zero() -> None:
    score = run([sample("p", 0, finish="unknown", tokens=None)], [grade("p", 0, True)])
    assert math.isnan(score.shares.truncated)
    assert math.isnan(score.finished_score)
    assert math.isnan(score.tokens.mean)


def test_clusters_widen_the_error_over_problems() -> None:
    ids = [f"{language}{i}" for language in "ab" for i in range(4)]
    samples = [sample(name, k, f"{name}{k}") for name in ids for k in range(4)]
    grades = [grade(name, k, k < int(name[1])) for name in ids for k in range(4)]
    plain = run(samples, grades)
    clustered = run(samples, grades, metadata={name: {"cluster": name[1]} for name in ids})
    assert clustered.clusters == 4
    assert clustered.se_total > plain.se_total
    assert clustered.se_samp == plain.se_samp
    assert "cluster" not in clustered.groups


def test_parts_in_their_natural_order() -> None:
    assert in_order(["hard", "easy", "medium"]) == ["easy", "medium", "hard"]
    assert in_order(["10", "9", "2"]) == ["2", "9", "10"]
    ids = [f"p{i}" for i in range(6)]
    metadata = {
        name: {"contest_date": f"2024-{8 + i // 3:02d}-1{i}T00:00", "title": name} for i, name in enumerate(ids)
    }
    score = run([sample(n, 0) for n in ids], [grade(n, 0, True) for n in ids], metadata=metadata)
    assert [group.value for group in score.groups["month"]] == ["2024-08", "2024-09"]
    assert "title" not in score.groups


def test_other_scorers_are_compared_where_both_graded() -> None:
    samples = [sample("p", k) for k in range(4)]
    grades = [grade("p", k, k < 2) for k in range(4)]
    grades += [grade("p", k, right, scorer="other") for k, right in ((0, True), (1, False), (2, True))]
    other = run(samples, grades).others[0]
    assert (other.samples, other.disagreements, other.only_main, other.only_other) == (3, 2, 1, 1)
    assert other.score == pytest.approx(2 / 3)


def test_problems_keep_the_order_of_the_benchmark() -> None:
    score = run([sample("b", 0), sample("a", 0)], [grade("b", 0, True), grade("a", 0, False)], problem_ids=["a", "b"])
    assert [problem.id for problem in score.per_problem] == ["a", "b"]


def test_memory_holds_numbers_not_texts() -> None:
    """4,000 samples of 100,000 characters: 400 MB of text pass through, and a few hundred kilobytes stay."""

    def samples() -> Iterator[Sample]:
        return (sample(f"p{i}", k, f"{i}.{k}" + "x" * 100_000) for i in range(250) for k in range(16))

    tracemalloc.start()
    grades = (grade(f"p{i}", k, (i + k) % 3 == 0) for i in range(250) for k in range(16))
    score = score_run(samples(), grades, benchmark="b", task="t", scorer="main")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert score.samples == 4000
    assert peak < 8_000_000
