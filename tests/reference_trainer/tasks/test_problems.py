"""Toy problems: sets disjoint whatever the seeds, teachers right where they should be, files that round-trip."""

import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.loaders.read import read_rows
from reference_trainer.tasks import DOMAINS, SPLITS, demonstrations, draw_problems, problem_set, split_of
from reference_trainer.tasks.arithmetic import steps
from reference_trainer.tasks.corpus import documents
from reference_trainer.tasks.files import read_problems, write_toy
from reference_trainer.tasks.problems import TOYS
from reference_trainer.tasks.programs import problem_of, shown

domains = st.sampled_from(DOMAINS)
seeds = st.integers(0, 2**32)
SMALL = {"train": 20, "validation": 5, "heldout": 10}


@given(domains, seeds, seeds)
def test_no_two_sets_share_a_canonical_problem_whatever_the_seeds(domain, seed, other):
    sets = [
        {p.canonical for p in problem_set(domain, split, 20, number)}
        for split, number in zip(SPLITS, (seed, other, seed), strict=True)
    ]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]


@given(domains, seeds, st.sampled_from(SPLITS))
def test_every_problem_is_of_the_set_that_was_asked_for(domain, seed, split):
    problems = problem_set(domain, split, 20, seed)
    assert {p.split for p in problems} == {split} == {split_of(domain, p.canonical) for p in problems}
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == 20


def test_swapping_commuting_operands_stays_in_the_set():
    toy, random = TOYS["math"], Random(0)
    drawn = {problem.question: problem.split for problem in (toy.draw(1, random) for _ in range(5000))}
    pairs = [(f"{a}{o}{b}=?", f"{b}{o}{a}=?") for a in range(10) for b in range(a) for o in "+*"]
    assert len(drawn) == 300
    assert all(drawn[one] == drawn[other] for one, other in pairs)
    assert any(drawn[f"{a}-{b}=?"] != drawn[f"{b}-{a}=?"] for a in range(10) for b in range(a))


@given(*[st.integers(0, 9)] * 3, st.sampled_from([1, 3, 7, 9]))
def test_the_order_of_the_examples_does_not_change_the_set(a, b, x, difference):
    z = (x + difference) % 10
    one, other = problem_of(a, b, x, z, 1), problem_of(a, b, z, x, 1)
    assert one.question != other.question
    assert (one.canonical, one.split, one.cases) == (other.canonical, other.split, other.cases)
    assert not {case for case, _ in one.cases} & {x, z}


@given(domains, seeds)
def test_the_same_seed_draws_the_same_problems(domain, seed):
    assert problem_set(domain, "train", 10, seed) == problem_set(domain, "train", 10, seed)


def test_all_levels_are_drawn_and_chosen_ones_only():
    for domain in DOMAINS:
        levels = TOYS[domain].levels
        assert {p.level for p in problem_set(domain, "train", 100, 3)} == set(levels)
        assert {p.level for p in problem_set(domain, "train", 50, 3, levels[-1:])} == {levels[-1]}


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 9)), min_size=1, max_size=5), st.integers(0, 9))
def test_steps_keep_the_value(rest, first):
    expression = str(first) + "".join(f"{operator}{digit}" for operator, digit in rest)
    value = first
    for operator, digit in rest:  # Python's own arithmetic, one operation after the other
        value = {"+": value + digit, "-": value - digit, "*": value * digit}[operator]
    written = steps(expression)
    assert len(written) == len(rest)
    assert written[-1] == str(value % 10)
    assert [len(step) for step in written] == list(range(len(expression) - 2, 0, -2))


@given(seeds)
def test_science_answers_follow_from_the_formula(seed):
    for problem in problem_set("science", "train", 10, seed):
        formula, *given_values = problem.question.split(",")
        values = dict(part.split("=") for part in given_values)
        right = re.sub("[a-z]", lambda match, values=values: values[match[0]], formula.split("=")[1])
        assert re.fullmatch(r"[0-9+*]+", right)
        total = 0
        for term in right.split("+"):
            product = 1
            for factor in term.split("*"):
                product *= int(factor)
            total += product
        assert problem.answer == str(total % 10)


@given(seeds)
def test_shown_pairs_and_hidden_cases_are_of_one_function_and_of_no_other(seed):
    for problem in problem_set("code", "train", 10, seed):
        fitting = [
            (a, b)
            for a in range(10)
            for b in range(10)
            if all((a * x + b) % 10 == y for x, y in shown(problem.question))
        ]
        assert len(fitting) == 1
        a, b = fitting[0]
        assert all(y == (a * x + b) % 10 for x, y in problem.cases)
        assert f"({a}*x+{b})" in problem.answer


def test_careful_and_hasty_are_mixed_as_asked():
    shown_all = list(demonstrations(6000, 5))
    share = sum(d.teacher == "hasty" for d in shown_all) / 6000
    assert abs(share - 0.35) < 5 * (0.35 * 0.65 / 6000) ** 0.5
    assert {d.problem.split for d in shown_all} == {"train"}
    assert {d.teacher for d in demonstrations(50, 5, hasty_share=0.0)} == {"careful"}


def test_a_hasty_guess_knows_nothing_of_the_problem():
    for domain in ("math", "science"):
        problems = problem_set(domain, "train", 1000, 1)
        random = Random(0)
        right = sum(f"{{{p.answer}}}" in TOYS[domain].hasty(p, random) for p in problems)
        assert 50 < right < 150  # one in ten


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("maths", "train", 5, 0), "did you mean 'math'"),
        (("math", "trian", 5, 0), "did you mean 'train'"),
        (("math", "heldout", 5000, 0, (1,)), "heldout set has hardly more than"),
        (("math", "train", 5, 0, (9,)), "levels 1, 2, 3, 4, 5"),
    ],
)
def test_what_cannot_be_had_is_named(arguments, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        problem_set(*arguments)
    with pytest.raises(UsageError):
        list(demonstrations(1, 0, hasty_share=1.5))


def test_files_are_the_same_for_the_same_seed_and_read_back(tmp_path: Path):
    counts = write_toy(tmp_path / "a", 4, SMALL, 50)
    write_toy(tmp_path / "b", 4, SMALL, 50)
    write_toy(tmp_path / "c", 5, SMALL, 50)
    names = sorted(str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert counts["sft.jsonl"] == 50 == len(list(read_rows(tmp_path / "a" / "sft.jsonl")))
    for domain in DOMAINS:
        for split in SPLITS:
            found = read_problems(tmp_path / "a" / domain / f"{split}.jsonl")
            assert found == problem_set(domain, split, SMALL[split], 0 if split == "heldout" else 4)
        one, other = ((tmp_path / f / domain / "heldout.jsonl").read_bytes() for f in "ac")
        assert one == other  # a benchmark is one set, whatever the seed of training
        one, other = ((tmp_path / f / domain / "train.jsonl").read_bytes() for f in "ac")
        assert one != other


def test_a_row_that_is_no_toy_problem_is_named(tmp_path: Path):
    (tmp_path / "x.jsonl").write_text('{"question": "?"}\n')
    with pytest.raises(UsageError, match="row 1, is no toy problem"):
        read_problems(tmp_path / "x.jsonl")


def test_draws_go_on_for_ever():
    source = draw_problems("science", "validation", 0, (1,))
    assert len([next(source) for _ in range(500)]) == 500


@given(seeds)
def test_documents_for_pretraining_are_solved_training_problems_that_answer_nobody(seed):
    problems = {domain: draw_problems(domain, "train", seed) for domain in DOMAINS}
    for statement, solution in documents(30, seed):
        domain = {"f": "code", "=": "math"}.get(statement[0] if statement[0] == "f" else statement[-1], "science")
        problem = next(problems[domain])
        assert statement.rstrip(":") == problem.question.removesuffix("?")
        assert TOYS[domain].careful(problem).startswith(solution)
        assert solution
        assert not any(mark in statement + solution for mark in ("boxed", "```", "<user>", "<assistant>"))
