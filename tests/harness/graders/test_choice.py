"""Letters in phrasings combined with forms, boxes before words, statuses, and hostile texts."""

import itertools

import pytest

from harness.errors import UsageError
from harness.graders import choice

FORMS = [
    "{}",
    "({})",
    "**{}**",
    "**({})**",
    "$\\text{{{}}}$",
    "$\\mathbf{{{}}}$",
    "`{}`",
    '"{}"',
    "\\({}\\)",
    "[{}]",
    "*{}*",
    "{}) 5.2 eV",
    "({}) $\\frac{{1}}{{2}}$",
]
PHRASES = [
    "The answer is {}",
    "The correct answer is {}",
    "The correct answer is option {}",
    "Therefore, the correct option is {}",
    "So the best choice is {}",
    "The right answer is therefore {}",
    "Answer: {}",
    "**Answer:** {}",
    "**Final Answer: {}**",
    "Final answer: {}",
    "### Final Answer\n\n{}",
    "The final answer is {}",
    "My final answer is {}",
    "Hence the answer must be {}",
    "I would choose option {}",
    "I will go with {}",
    "The correct choice among the options is {}",
    "Based on this analysis, the most likely answer is {}",
    "Thus, the answer to the question is: {}",
    "The correct answer should be {}",
    "Correct answer: {}",
    "Answer ({})".replace("({})", ": {}"),
    "正确答案是{}",
    "所以答案是 {}",
    "因此，正确选项为{}",
]
DISTRACTORS = [
    "Option A has a field B and a current C. A force D acts.\n",
    "Let us look at the options. A is too small. (C) cannot be right.\n",
    "The energy $\\Delta E$ of state A and $B_0$ are given. Because D > A, we go on.\n",
]


@pytest.mark.parametrize(("phrase", "form"), list(itertools.product(PHRASES, FORMS)))
def test_phrasings_of_models(phrase: str, form: str) -> None:
    for letter, before in zip("ABCD", itertools.cycle(DISTRACTORS)):
        for end in ("", ".", "\n"):
            response = before + phrase.format(form.format(letter)) + end
            assert choice.extract(response) == letter, response


BOXES = [
    "{}",
    "({})",
    "\\text{{{}}}",
    "\\textbf{{{}}}",
    "\\mathbf{{{}}}",
    "\\mathrm{{({})}}",
    "{}.",
    "\\text{{{}. yes}}",
    "\\text{{({}) }} 12",
    "\\text{{Option {}}}",
    "{}: 12\\,\\mathrm{{eV}}",
]


@pytest.mark.parametrize("box", BOXES)
def test_boxes_go_before_words(box: str) -> None:
    for letter in "ABCD":
        content = box.format(letter)
        assert choice.extract(f"The answer is A or B. So \\boxed{{{content}}} is it.") == letter
        assert choice.extract(f"<think>\\boxed{{A}} The answer is B.</think>\\n$\\boxed{{{content}}}$") == letter


def test_grades_and_statuses() -> None:
    assert choice.grade("Answer: B", "B").correct
    assert choice.grade("Answer: B", "b").correct
    assert not choice.grade("Answer: C", "B").correct
    assert choice.grade("no idea", "B").status == "no_answer"
    assert choice.grade("no idea", "B", truncated=True).status == "truncated"
    with pytest.raises(UsageError, match="one of A, B, C, D"):
        choice.grade("Answer: B", "E")


@pytest.mark.parametrize(
    "bad", ["\\boxed{" * 20_000, "Answer: " * 100_000, "(A) " * 200_000, "**" * 200_000, "x" * 3_000_000]
)
def test_long_and_hostile_texts_take_no_time(bad: str) -> None:
    choice.extract(bad)
