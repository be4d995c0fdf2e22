"""The letter that a response declares, in the phrasings of real models."""

import itertools

import pytest

from harness.errors import UsageError
from harness.graders import choice

CASES: list[tuple[str, str | None]] = [
    # (response, expected)
    ("\\boxed{B}", "B"),
    ("\\boxed{\\text{B}}", "B"),
    ("$\\boxed{\\textbf{(C)}}$", "C"),
    ("\\boxed{(D)}", "D"),
    ("\\boxed{A.}", "A"),
    ("\\boxed{\\mathrm{A}}", "A"),
    ("\\boxed{\\mathbf{B}}", "B"),
    ("\\boxed{\\text{Option C}}", "C"),
    ("\\boxed{\\text{B) 5.2 eV}}", "B"),
    ("\\boxed{B: 5.2 eV}", "B"),
    ("\\boxed{b}", "B"),
    ("\\boxed{\\text{(B)}}", "B"),
    ("\\boxed{\\text{Answer: D}}", "D"),
    ("\\fbox{C}", "C"),
    ("\\boxed{A, B}", None),
    ("\\boxed{\\text{A and C}}", None),
    ("\\boxed{E}", None),
    ("\\boxed{AB}", None),
    ("\\boxed{5.2} so the answer is B.", "B"),
    ("\\boxed{\\Delta E}\n\nAnswer: C", "C"),
    ("\\boxed{A} Wait, that's wrong. \\boxed{D}", "D"),
    ("<think>\\boxed{A}</think> \\boxed{C}", "C"),
    ("<think>answer is A", None),
    ("<think>answer is A</think>\nAnswer: B", "B"),
    ("<think>The answer is B</think>", None),
    ("**Answer: (C)**", "C"),
    ("**Answer:** C", "C"),
    ("Answer: **C**", "C"),
    ("ANSWER: D", "D"),
    ("Answer: B", "B"),
    ("answer: b", "B"),
    ("Answer: $B$", "B"),
    ("Answer: \\text{B}", "B"),
    ("Answer: \\(B\\)", "B"),
    ("Answer: C.", "C"),
    ("Answer: C) 10^-4 eV", "C"),
    ("Answer: D. The compound", "D"),
    ("Final Answer: A", "A"),
    ("### Answer\n\n**B**", "B"),
    ("### Final Answer\nB", "B"),
    ("Answer:\n\nC", "C"),
    ("The correct option is D.", "D"),
    ("the correct answer is (A).", "A"),
    ("The correct answer is **B**.", "B"),
    ("The correct choice is C because it works.", "C"),
    ("The answer is A because of symmetry.", "A"),
    ("The answer is C, since energy is conserved.", "C"),
    ("Therefore, the answer is B) 5.2 eV.", "B"),
    ("The best answer is option (D)", "D"),
    ("So the correct answer is option B: the ratio.", "B"),
    ("The answer would be D", "D"),
    ("The right answer must be B.", "B"),
    ("answer is (a)", "A"),
    ("The answer is (b).", "B"),
    ("The answer is d.", "D"),
    ("I choose B.", "B"),
    ("I would select option C.", "C"),
    ("I'll go with D.", "D"),
    ("I pick (A).", "A"),
    ("we choose option A", "A"),
    ("Answer: Because the energy is high", None),
    ("Answer: Both are right", None),
    ("Answer: Diamagnetic", None),
    ("Answer: A force of 5 N acts", None),
    ("Answer: D-glucose", None),
    ("The answer is a constant", None),
    ("The answer is A good approximation", None),
    ("The answer is C=O stretching", None),
    ("The answer is C60", None),
    ("The answer is C_{60}", None),
    ("The answer is B-field dependent", None),
    ("The answer is $\\Delta E$", None),
    ("The answer is $\\alpha$", None),
    ("The answer is B^2", None),
    ("The answer is not A.", None),
    ("The answer isn't A.", None),
    ("The answer is not A but B.", "B"),
    ("The answer cannot be C.", None),
    ("The answer is not (A). The answer is (C).", "C"),
    ("Option A is incorrect. Option B is correct.", "B"),
    ("Option B is correct. Option A is incorrect.", "B"),
    ("B is the correct answer.", "B"),
    ("(C) is correct.", "C"),
    ("Option D is the best choice.", "D"),
    ("Option D is not correct.", None),
    ("D is wrong.", None),
    ("C is the right answer, A is not correct.", "C"),
    ("This matches option B.", "B"),
    ("which corresponds to choice (C).", "C"),
    ("This is consistent with option D.", "D"),
    ("So it is option C.", "C"),
    ("Therefore, C.", "C"),
    ("Thus (B).", "B"),
    ("Hence, the answer is D", "D"),
    ("答案是B", "B"),
    ("答案:C", "C"),
    ("答案：D", "D"),
    ("正确答案是 A。", "A"),
    ("故选B", "B"),
    ("选C", "C"),
    ("应选D。", "D"),
    ("因此选择A", "A"),
    ("正确选项为(C)", "C"),
    ("答案为**D**", "D"),
    ("B选项正确", "B"),
    ("选项B正确", "B"),
    ("The answer is A or B.", None),
    ("Answer: A, C", None),
    ("Answer: A and B", None),
    ("Answer: (A) or (C)", None),
    ("Answer: A/B", None),
    ("The answer is A or B. After more thought, the answer is B.", "B"),
    ("long reasoning\n\nC", "C"),
    ("long reasoning\n\n**C**", "C"),
    ("long reasoning\n\n(C)", "C"),
    ("reasoning\nC.", "C"),
    ("reasoning\n\nC) 5.2 eV", "C"),
    ("reasoning\n$\\mathbf{D}$", "D"),
    ("reasoning\nOption D", "D"),
    ("reasoning\n\nA force acts on it", None),
    ("reasoning\nA", "A"),
    ("We consider A, B, C and D.", None),
    ("The field B is constant and A is the area.", None),
    ("Energy E of the A state", None),
    ("C", "C"),
    ("(B)", "B"),
    ("B\n\nThe reason is that energy", "B"),
    ("", None),
    ("I do not know.", None),
    ("<answer>C</answer>", "C"),
    ("<answer>(B)</answer>", "B"),
    ("<answer>\nD\n</answer>", "D"),
    ("<answer>The answer is B</answer>", "B"),
    ("The answer is A. Wait, actually C.", "C"),
    ("Answer: A\n\nHmm, wait. Answer: D", "D"),
    ("Answer: $LETTER", None),
    ("Answer: [B]", "B"),
    ("Answer: {B}", "B"),
    ("Answer - C", "C"),
    ("Answer is: C", "C"),
    ("Answer = C", "C"),
    ("Ans: C", "C"),
    ("The answer: C", "C"),
    ("The correct answer is:\n\n**(B)** 10 eV", "B"),
    ("The final answer is $\\text{B}$.", "B"),
    ("The final answer is: $\\boxed{B}$. I hope it is correct.", "B"),
    ("The correct answer to this question is C.", "C"),
    ("the answer to the question of energy is A", "A"),
    ("Choice B is right", "B"),
    ("My answer is B", "B"),
    ("The correct statement is D", "D"),
    ("The letter is C", "C"),
    ("Therefore the answer should be (D) 4 nm.", "D"),
    ('The answer is "B".', "B"),
    ("The answer is 'B'.", "B"),
    ("Answer: `C`", "C"),
    ("Answer:B", "B"),
    ("answer:(c)", "C"),
    ("Answer: Ａ", "A"),
    ("答案：Ｂ", "B"),
    ("The answer is E.", None),
    ("Answer: F", None),
    ("The value of A is 5", None),
    ("A is the right triangle's area", None),
    ("In summary, D is diffusivity", None),
    ("option a", "A"),
    ("a) first\nb) second", None),
    ("Neither A nor B is correct, so C is correct.", "C"),
    ("The correct answer is B, not A.", "B"),
    ("The answer is C rather than D.", "C"),
    ("Answer: C (not D)", "C"),
    ("The answer is **C) $2\\pi$**", "C"),
    ("Answer: **(D)** $\\frac{1}{2}$", "D"),
    ("**Answer: B. 10 pm**", "B"),
    ("The correct answer is **option C**.", "C"),
    ("The correct answer is choice **A**", "A"),
    ("**The answer is (A)**", "A"),
    ("Answer: C, because A is wrong and B is wrong.", "C"),
    ("Answer: C. Options A, B and D are wrong.", "C"),
    ("So the answer is C.\n\nNote: A and B are wrong because of symmetry.", "C"),
    ("The correct answer is therefore B.", "B"),
    ("The answer is most likely D.", "D"),
    ("The answer is clearly (C)", "C"),
    ("the answer must therefore be A.", "A"),
    ("the answer is, therefore, B", "B"),
    ("I think it's B.", "B"),
    ("It's C", "C"),
    ("It must be (D).", "D"),
    ("\\boxed{\\text{C}}\\text{: } 5", "C"),
    ("\\boxed{C) \\ 5 \\text{ nm}}", "C"),
    ("\\boxed{\\text{The answer is B}}", "B"),
    ("\\boxed{\\textbf{B}\\ }", "B"),
    ("\\boxed{B}$.", "B"),
    ("\\boxed{[B]}", "B"),
    ("\\boxed{\\text{None}}", None),
    ("\\boxed{}\nAnswer: B", "B"),
    ("Put the letter in \\boxed{}. The answer is \\boxed{A}", "A"),
    ("A. 1\nB. 2\nC. 3\nD. 4\n\nThe answer is B.", "B"),
    ("The options are:\nA) x\nB) y\nC) z\nD) w", None),
]


@pytest.mark.parametrize(("response", "letter"), CASES)
def test_the_declared_letter_is_found(response: str, letter: str | None) -> None:
    assert choice.extract(response) == letter


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


@pytest.mark.parametrize(("phrase", "form"), itertools.product(PHRASES, FORMS))
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
