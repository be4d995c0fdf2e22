"""What a response declares as its answer, and what it does not."""

import pytest

from harness.graders.math import extract

CASES: list[tuple[str, str | None]] = [
    ("The sum is $\\boxed{42}$.", "42"),
    ("\\boxed{42}", "42"),
    ("\\boxed 5", "5"),
    ("\\fbox{7}", "7"),
    ("\\boxed {12}", "12"),
    ("\\boxed{\\boxed{5}}", "5"),
    ("\\boxed{x=\\boxed{5}}", "x= 5"),
    ("\\boxed{}", None),
    ("\\boxed{5} Put it in \\boxed{}.", "5"),
    ("\\boxed{\\text{answer}}", None),
    ("\\boxed{...}", None),
    ("<think>\\boxed{3}</think>\\boxed{4}", "4"),
    ("<think>\\boxed{3}</think>nothing", None),
    ("<think>\\boxed{3}", None),
    ("<think>a</think><think>\\boxed{3}", None),
    ("\\boxed{3} no wait, it must be recomputed. Answer \\boxed{4}", "4"),
    ("The solutions are $\\boxed{2}$ and $\\boxed{3}$.", "2, 3"),
    ("$x=\\boxed{2}, y=\\boxed{3}$", "2, 3"),
    ("$\\boxed{2}$, $\\boxed{3}$, and $\\boxed{5}$", "2, 3, 5"),
    ("\\boxed{2} or \\boxed{3}", "2, 3"),
    ("first try \\boxed{2}. Then I get \\boxed{3}", "3"),
    ("\\boxed{5}\n\n\\boxed{5}", "5"),
    ("\\boxed{\\frac{1}{2}", None),
    ("so $\\boxed{\\frac{1}{2}$.", "\\frac{1}{2}"),
    ("\\boxed{12", None),
    ("\\boxed{10}\\%", "10\\%"),
    ("\\boxed{10\\%}", "10\\%"),
    ("The answer is 42.", "42"),
    ("The answer is 42", "42"),
    ("The final answer is $42$.", "42"),
    ("**Answer:** 42", "42"),
    ("Answer: $\\frac{1}{2}$", "\\frac{1}{2}"),
    ("The answer is $x = 5$ and $y = 6$.", "x = 5, y = 6"),
    ("The answer is: \n\n$$\\frac{3}{4}$$", "\\frac{3}{4}"),
    ("The answer is \\(5\\)", "5"),
    ("Answer: \\[ 5 \\]", "5"),
    ("#### 72", "72"),
    ("reasoning\n#### 1,234", "1,234"),
    ("<answer>12</answer>", "12"),
    ("<answer> $12$ </answer>", "12"),
    ("答案是 5。", "5"),
    ("答案：$\\sqrt{2}$", "\\sqrt{2}"),
    ("最终答案为 12", "12"),
    ("因此答案是12", "12"),
    ("The answer is not 5.", None),
    ("We get 5 apples in total and then 7 more.", None),
    ("blah blah 42", None),
    ("...\nSo $x = 42$.", "x = 42"),
    ("...\n42", "42"),
    ("...\n**42**", "42"),
    ("...\n$$42$$", "42"),
    ("...\nx = 42", "x = 42"),
    ("Therefore there are 5 ways.", None),
    ("The answer is 1.5.", "1.5"),
    ("The answer is 1,234.", "1,234"),
    ("The answer is 5 meters.", "5 meters"),
    ("The answer is 5 because 2+3=5.", "5"),
    ("The answer is 5, since 2+3=5", "5"),
    ("The answer is $5$ cm", "5"),
    ("The answer is 50%.", "50%"),
    ("The answer is 50 percent", "50 percent"),
    ("The answer is $-3$.", "-3"),
    ("The answer is -3.", "-3"),
    ("The answer is (1, 2).", "(1, 2)"),
    ("The answer is \\frac{1}{2}.", "\\frac{1}{2}"),
    ("The answer is 5 or 6", "5 or 6"),
    ("The answer is 3.\n\nLet me double-check: 2+1=3.", "3"),
    ("Answer: 5\nWait, that's wrong.\nAnswer: 6", "6"),
    ("The answer to the problem is 12.", "12"),
    ("The answer is therefore 12.", "12"),
    ("The final answer is: **12**", "12"),
    ("Final Answer: The final answer is $12$. I hope it is correct.", "12"),
    ("The answer is $\\$25$.", "\\$25"),
    ("The answer is \\$25.", "\\$25"),
    ("The answer is $25.", "$25"),
    ("The answer is $25.50 per person", "$25.50 per person"),
    ("**Final Answer**\n\n12", "12"),
    ("**Final Answer**\n$12$", "12"),
    ("## Answer\n12", "12"),
]


@pytest.mark.parametrize(("response", "answer"), CASES)
def test_the_declared_answer_is_found(response: str, answer: str | None) -> None:
    found = extract(response)
    assert (found.answer if found else None) == answer


@pytest.mark.parametrize(
    "response",
    ["The answer is 5.", "<answer>5</answer>", "#### 5", "5", "$x = 5$", "\\boxed{\\frac{1}{2}$", "答案是5"],
)
def test_the_reward_mode_takes_closed_boxes_only(response: str) -> None:
    assert extract(response, boxes_only=True) is None
    assert extract(response + " \\boxed{5}", boxes_only=True) is not None


def test_thinking_that_the_prompt_opened_must_be_closed() -> None:
    assert extract("so \\boxed{5}", prefilled=True) is None
    found = extract("so \\boxed{4}</think> \\boxed{5}", prefilled=True)
    assert found is not None
    assert found.answer == "5"


@pytest.mark.parametrize("words", [" ", "no result here. ", "We have 12 apples and 3 pears. "])
def test_no_number_in_the_text_is_ever_an_answer(words: str) -> None:
    assert extract(words * 50 + "In the year 1999 there were 7 of them, which is odd.") is None


def test_a_box_far_from_the_end_still_counts() -> None:
    found = extract("\\boxed{5}" + " and so on" * 5_000)
    assert found is not None
    assert found.answer == "5"
