"""The toys as benchmarks of the harness: cards load what is written, and its graders agree with the reward."""

from pathlib import Path

import pytest

from harness.card import load_card
from harness.grading_scorers import make_grader
from harness.problems import load
from harness.types import Sample
from reference_trainer.tasks import DOMAINS
from reference_trainer.tasks.files import read_problems, write_toy
from reference_trainer.tasks.problems import TOYS


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    write_toy(folder, seed=3, demonstration_count=10)
    return folder


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_card_reads_the_heldout_set_that_it_pins(toy: Path, domain):
    loaded = load(load_card(f"toy_{domain}"), toy)
    assert loaded.content_hash == loaded.expected_hash
    written = read_problems(toy / domain / "heldout.jsonl")
    assert [(p.id, p.prompt) for p in loaded.problems] == [(p.id, p.question) for p in written]


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_harness_grades_the_teacher_right_and_a_wrong_answer_wrong(toy: Path, domain):
    asked = load(load_card(f"toy_{domain}"), toy).problems[:5]
    drawn = read_problems(toy / domain / "heldout.jsonl")[:5]
    grader = make_grader("code" if domain == "code" else "strict", 1)
    try:
        for problem, known in zip(asked, drawn, strict=True):
            right = TOYS[domain].careful(known)
            wrong = right.replace("return ", "return 1+") if domain == "code" else right[:-3] + "{-1}"
            samples = [
                Sample("t", f"toy_{domain}", problem.id, i, 0, text, "stop") for i, text in enumerate((right, wrong))
            ]
            assert [grader.grade(problem, sample).correct for sample in samples] == [True, False]
    finally:
        grader.close()
