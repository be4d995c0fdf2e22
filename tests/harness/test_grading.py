import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.card import load_card
from harness.errors import UsageError
from harness.grading import Backlog, GradingQueue
from harness.grading_scorers import SCORERS, SampleGrader, make_grader, scorer_names
from harness.problems import load
from harness.store import RunStore, read_grades
from harness.types import Grade, Problem, Sample


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with RunStore(tmp_path) as store:
        store.write_manifest({"tasks": {}})
        yield store


@pytest.fixture
def problems(sums: Path) -> dict[str, Problem]:
    card = load_card(sums)
    return {problem.id: problem for problem in load(card, sums).problems}


def sample(problem: str, index: int, response: str, finish: str = "stop") -> Sample:
    return Sample("t", "sums", problem, index, 0, response, finish)  # type: ignore[arg-type]


class Counting:
    """A scorer that counts its calls, and fails or waits where the response says so."""

    scorer = "counting"

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.release = threading.Event()

    def grade(self, problem: Problem, sample: Sample) -> Grade:
        self.calls.append((sample.problem_id, sample.index))
        if sample.response == "wait":
            self.release.wait(60)
        if sample.response == "fail":
            raise UsageError(f"cannot grade {sample.problem_id}")
        correct = sample.response == problem.gold
        return Grade(sample.task, sample.benchmark, sample.problem_id, sample.index, self.scorer, correct, "ok")

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None: ...


def test_real_scorers_side_by_side(store, problems, tmp_path):
    graders: dict[str, SampleGrader] = {name: make_grader(name, 2) for name in SCORERS["math"]}
    responses = {
        0: (r"So it is \boxed{12}.", "stop", (True, "ok")),
        1: (r"So it is \boxed{\frac{24}{2}}.", "stop", (True, "ok")),
        2: (r"So it is \boxed{13}.", "stop", (False, "ok")),
        3: ("I cannot say", "stop", (False, "no_answer")),
        4: ("First we compute", "length", (False, "truncated")),
    }
    try:
        with GradingQueue(store, graders, 2) as queue:
            for index, (response, finish, _) in responses.items():
                one = sample("sum-3", index, response, finish)
                store.add_sample(one)
                queue.submit(problems["sum-3"], one, SCORERS["math"])
            queue.finish()
    finally:
        for grader in graders.values():
            grader.close()
    grades = list(read_grades(tmp_path))
    assert len(grades) == 10
    for grade in grades:
        assert (grade.correct, grade.status) == responses[grade.index][2], grade
        assert grade.scorer in graders
    assert all(grader.describe()["versions"]["math-verify"] == "0.9.0" for grader in graders.values())


def test_an_error_costs_the_grade_of_its_own_sample_only(store, problems, tmp_path):
    grader = Counting()
    with GradingQueue(store, {"counting": grader}, 2) as queue:
        for index in range(20):
            queue.submit(problems["sum-1"], sample("sum-1", index, "fail" if index == 5 else "2"), ["counting"])
        with pytest.raises(UsageError, match="cannot grade sum-1"):
            queue.finish()
    assert {grade.index for grade in read_grades(tmp_path)} == set(range(20)) - {5}
    assert all(grade.correct for grade in read_grades(tmp_path))


def test_a_full_queue_makes_the_sampling_wait(store, problems):
    grader = Counting()
    handed: list[int] = []

    def hand_over() -> None:
        for index in range(40):
            queue.submit(problems["sum-1"], sample("sum-1", index, "wait"), ["counting"])
            handed.append(index)

    with GradingQueue(store, {"counting": grader}, 2) as queue:
        thread = threading.Thread(target=hand_over)
        thread.start()
        while len(handed) < 10:
            time.sleep(0.01)
        time.sleep(0.3)
        assert len(handed) == 10
        assert len(grader.calls) == 2
        grader.release.set()
        thread.join()
        queue.finish()
    assert len(grader.calls) == 40


def test_what_is_graded_is_not_graded_again(store, problems, tmp_path):
    for index in range(30):
        store.add_sample(sample("sum-2", index, "6"))
        if index % 3 == 0:
            store.add_grade(Grade("t", "sums", "sum-2", index, "counting", False, "ok", "kept"))
    store.add_sample(Sample("other", "sums", "sum-2", 0, 0, "6", "stop"))
    grader = Counting()
    with GradingQueue(store, {"counting": grader}, 2) as queue:
        backlog = Backlog(store, queue, {"t": (problems, ["counting"])})
        backlog.start()
        for index in range(30, 40):  # drawn while the backlog is read
            new = sample("sum-2", index, "6")
            store.add_sample(new)
            queue.submit(problems["sum-2"], new, ["counting"])
        backlog.finish()
        queue.finish()
    assert sorted(grader.calls) == sorted(("sum-2", i) for i in range(40) if i >= 30 or i % 3)
    grades = {grade.index: grade for grade in read_grades(tmp_path)}
    assert set(grades) == set(range(40))
    assert all(grades[i].extracted == "kept" for i in range(0, 30, 3))


def test_which_scorers_a_benchmark_has(sums):
    card = load_card(sums)
    assert scorer_names(card) == ("math-verify", "strict")
    assert scorer_names(card, ["strict"]) == ("strict",)
    with pytest.raises(UsageError, match="unknown scorer 'strickt'; did you mean 'strict'"):
        scorer_names(card, ["strickt"])
