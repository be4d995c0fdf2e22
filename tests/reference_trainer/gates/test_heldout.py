"""The gates' own rule of the sets agrees with the generators, and foreign text belongs to none."""

from random import Random

import pytest

from reference_trainer.gates.heldout import canonical_form, set_of
from reference_trainer.tasks import DOMAINS, SPLITS, problem_set
from reference_trainer.tasks.problems import TOYS


@pytest.mark.parametrize("domain", DOMAINS)
def test_canonical_form_and_set_of_drawn_problems(domain):
    random = Random(7)
    for _ in range(1000):
        problem = TOYS[domain].draw(random.choice(TOYS[domain].levels), random)
        assert canonical_form(problem.question) == (domain, problem.canonical)
        assert set_of(problem.question) == problem.split


@pytest.mark.parametrize("split", SPLITS)
def test_sets_as_they_are_written(split):
    assert {set_of(problem.question) for d in DOMAINS for problem in problem_set(d, split, 30, seed=5)} == {split}


@pytest.mark.parametrize("text", ["", "3+4", "copy abc", "f(1)=2", "1+2=?3", "p=m*v", "12+3=?"])
def test_other_text_is_of_no_set(text):
    assert set_of(text) == "no toy question"
