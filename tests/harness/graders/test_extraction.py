"""What a response declares as its answer, and what it does not."""

import pytest

from harness.graders.math import MathGrader, extract

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


GRADED: list[tuple[str, str, bool]] = [
    ("The answer is 5 or 7.", "5", False),
    ("The answer is \\boxed{5} or \\boxed{7}", "5", False),
    ("\\boxed{5}\n\\boxed{7}", "7", False),
    ("Part (a): \\boxed{3}. Part (b): \\boxed{5}", "5", True),
    ("First I got \\boxed{5}, but checking again gives \\boxed{7}.", "7", True),
    ("First I got \\boxed{5}, but checking again gives \\boxed{7}.", "5", False),
    ("<think>\\boxed{5}</think>The answer is 7", "7", True),
    ("<think>\\boxed{5}</think>The answer is 7", "5", False),
    ("<think> \\boxed{5}", "5", False),
    ("\\boxed{5} is the answer to part one. Finally \\boxed{\\frac{1}{2}}", "0.5", True),
    ("The final answer is $\\boxed{\\dfrac{3}{4}}$.", "\\frac34", True),
    ("\\[\n\\boxed{\\frac{3}{4}}\n\\]", "\\frac34", True),
    ("\\boxed{\n5\n}", "5", True),
    ("$$\\boxed{(3, \\frac{\\pi}{2})}$$", "\\left( 3, \\frac{\\pi}{2} \\right)", True),
    ("Thus $x = \\boxed{5}$ and $y = \\boxed{6}$.", "(5,6)", True),
    ("Thus $x = \\boxed{5}$ and $y = \\boxed{6}$.", "5", False),
    ("Answer: \\(\\frac{1}{2}\\) or equivalently 0.5", "\\frac12", True),
    ("**Answer:** $\\frac{1}{2}$ (i.e. 50%)", "\\frac12", True),
    ("So the answer is $\\frac{1}{2}$, which is 0.5.", "\\frac12", True),
    ("Therefore the answer is $5\\sqrt{2}$ cm.", "5\\sqrt2", True),
    ("The answer is 1/2.", "\\frac12", True),
    ("The answer is 3 1/2", "\\frac72", True),
    ("The answer is -5", "-5", True),
    ("The answer is −5.", "-5", True),
    ("The answer is $1,234$.", "1234", True),
    ("The answer is 1,234.56.", "1234.56", True),
    ("the answer is x^2 + 1", "x^2+1", True),
    ("The answer is \\frac{1}{2}.", "1/2", True),
    ("The answer is \\sqrt{2}.", "\\sqrt2", True),
    ("The answer is (1,2).", "(1,2)", True),
    ("The answer is [0, 1).", "[0,1)", True),
    ("The answer is {1,2}.", "1,2", True),
    ("The answer is $x=2$ or $x=3$.", "2,3", True),
    ("The solutions are $x=2$ and $x=3$.\n\nAnswer: $2, 3$", "2,3", True),
    ("The answer is 50%.", "50\\%", True),
    ("The answer is \\$25.", "25", True),
    ("The answer is $25.", "25", True),
    ("The answer is 25 dollars.", "25", True),
    ("The answer is the number 25.", "25", False),
    ("It is 25.", "25", False),
    ("We find 25 solutions.", "25", False),
    ("...\n\nTherefore, $n = 25$.", "25", True),
    ("...\n\n$$25$$", "25", True),
    ("...\n\n**25**", "25", True),
    ("...\n25", "25", True),
    ("...\nSo, the result is 25 apples", "25", False),
    ("答案是$25$。", "25", True),
    ("所以答案为25", "25", True),
    ("答案：25", "25", True),
    ("最终答案：$\\boxed{25}$", "25", True),
    ("答案是 25 个", "25", True),
    ("#### 25", "25", True),
    ("<answer>25</answer>", "25", True),
    ("<answer>The answer is 25</answer>", "25", True),
    ("<answer>\\boxed{25}</answer>", "25", True),
    ("The answer is 25. However, the answer is not 26.", "25", True),
    ("The answer isn't 25.", "25", False),
    ("The answer is not 25 but 26.", "26", True),
    ("Final answer: 25 (twenty-five)", "25", True),
    ("The answer is: 25", "25", True),
    ("The answer = 25", "25", True),
    ("ANSWER: 25", "25", True),
    ("Answer - 25", "25", False),
    ("\\boxed{25} \n\nIs there anything else?", "25", True),
    ("The value is \\boxed{25}, which equals 5^2. Let me verify: 5*5=25.", "25", True),
    ("\\boxed{\\text{The answer is 25}}", "25", True),
    ("\\boxed{\\text{Answer: }25}", "25", True),
    ("\\boxed{Answer = 25}", "25", True),
    ("\\boxed{25\\text{ because it is}}", "25", True),
    ("\\boxed{25} and \\boxed{25}", "25", True),
    ("I put the answer in \\boxed{}: 25", "25", False),
    ("\\boxed{?}", "25", False),
    ("\\boxed{25}$\\boxed{}$", "25", True),
    ("\\fbox{25}", "25", True),
    ("\\boxed 25", "25", True),
    ("\\boxed{25 ", "25", False),
    ("$\\boxed{25$", "25", True),
    ("$\\boxed{\\frac{1}{2}$", "\\frac12", True),
    ("\\boxed{ 25 }{}", "25", True),
    ("\\boxed{\\boxed{25}}", "25", True),
    ("\\framebox{25}", "25", True),
    ("\\Boxed{25}", "25", False),
    ("boxed{25}", "25", False),
]


@pytest.mark.parametrize(("response", "gold", "right"), GRADED)
def test_responses_are_graded_by_what_they_declare(response: str, gold: str, right: bool, strict: MathGrader) -> None:
    answer = strict.grade(response, gold)
    assert answer.correct is right, answer
