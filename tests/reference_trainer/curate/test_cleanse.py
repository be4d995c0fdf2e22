"""Cleansing rules: what each one drops, and look-alikes that stay."""

import pytest

from reference_trainer.curate.cleanse import cleanse
from reference_trainer.curate.recipe import Cleanse

DROPPED = {
    "invalid_characters": [
        ("What is 3 \ufffd 4?", "12"),
        ("Compute\x00 2+2.", "4"),
        ("Compute \ud800.", "4"),
        ("Find \ue123 x.", "1"),
        ("Find x.", "1\ufffd"),
    ],
    "image": [
        ("Find the area ![](triangle.png).", "3"),
        ("In the figure, AB = 3. Find BC.", "4"),
        ("A square is inscribed as shown in the diagram. Find x.", "4"),
        ("Compute x [asy]draw((0,0)--(1,1));[/asy]", "4"),
        ("The graph shown has a minimum at?", "4"),
        ("Find x. <img src='a'>", "4"),
        ("\\includegraphics{a} Find x.", "4"),
    ],
    "multi_part": [
        ("(a) Find x. (b) Find y.", "3, 4"),
        ("Let f(x) = x^2.\n(i) Find f(2).\n(ii) Find f(3).", "4, 9"),
        ("Let n = 3.\n(1) Find n^2.\n(2) Find n^3.", "9, 27"),
        ("Part A: find x. Part B: find y.", "3"),
        ("a) Find x. b) Find y.", "3"),
    ],
    "no_answer": [
        ("Find x.", None),
        ("Find x.", ""),
        ("Find x.", "  "),
        ("Find x.", "N/A"),
        ("Find x.", "\\boxed{}"),
        ("Find x.", []),
        ("Find x.", "..."),
        ("Prove that there are infinitely many primes.", "see proof"),
        ("Show that 2 divides n(n+1).", "2"),
    ],
    "multiple_choice": [
        ("What is 1+1?\n(A) 1\n(B) 2\n(C) 3", "2"),
        ("What is 1+1? A. 1 B. 2 C. 3 D. 4", "2"),
        ("1+1 is $\\textbf{(A) } 1 \\textbf{(B) } 2 \\textbf{(C) } 3$", "2"),
        ("Which of the following is prime: 4, 5, 6?", "5"),
        ("What is 1+1?", "(B)"),
        ("What is 1+1?", "\\boxed{\\text{C}}"),
    ],
    "true_false": [("True or false: 7 is prime.", "1"), ("7 is prime.", "\\text{True}"), ("7 is even.", "false.")],
    "yes_no": [("Is 7 prime?", "Yes"), ("Is 7 even?", "\\boxed{\\text{No}}")],
}
CASES = [(rule, *case) for rule, cases in DROPPED.items() for case in cases]

KEPT = [
    ("Let f(a) and f(b) be given with f(a) = 3. Find f(b).", "7"),
    ("Equations (1) and (2) give x. Find x.", "7"),
    ("Find all integers n such that n! ends in exactly 7 zeros.", "30, 31"),
    ("Let A = 3. B = 4 and C = 5. Find A + B + C.", "12"),
    ("Figure out the value of x where 2x = 4.", "2"),
    ("Find the number of true statements among the ten.", "3"),
    ("The picture frame is 3 by 4. Find its area.", "12"),
    ("Find x.", "0"),
    ("Find x.", ["1", "2"]),
    ("Compute \\frac{1}{2} + ½ — naïve π.", "\\frac{\\pi}{2}"),
    ("第一個問題的答案是什麼？", "3"),
    ("Name the variable.", "a"),
    ("3+4*7-2=?", "7"),
    ("f(2)=7,f(5)=6", "def f(x):return (3*x+1)%10"),
]


@pytest.mark.parametrize(("rule", "question", "answer"), CASES)
def test_dropped_by_its_rule(rule, question, answer):
    row = {"id": "1", "question": question, "answer": answer}
    assert [d.reason for d in cleanse([row], Cleanse(rules=(rule,)))] == [rule]
    assert [d.reason for d in cleanse([row], Cleanse())] != [None]


@pytest.mark.parametrize(("question", "answer"), KEPT)
def test_look_alikes_stay(question, answer):
    row = {"id": "1", "question": question, "answer": answer}
    assert [d.reason for d in cleanse([row], Cleanse())] == [None]


def test_columns_of_images_and_options_count():
    row = {"id": "1", "question": "Find x.", "answer": "3"}
    assert [d.reason for d in cleanse([{**row, "image": "a.png"}], Cleanse())] == ["image"]
    assert [d.reason for d in cleanse([{**row, "options": ["1", "3"]}], Cleanse())] == ["multiple_choice"]
    assert [d.reason for d in cleanse([{**row, "image": None, "options": []}], Cleanse())] == [None]


def test_a_rule_that_is_off_drops_nothing():
    row = {"id": "1", "question": "Is 7 prime?", "answer": "yes"}
    assert [d.reason for d in cleanse([row], Cleanse(rules=("image",)))] == [None]


def test_code_without_an_answer_but_with_cases_stays():
    row = {"id": "1", "question": "Add one.", "answer": None, "gold": {"entry_point": "f", "cases": [[[1], 2]]}}
    assert [d.reason for d in cleanse([row], Cleanse())] == [None]
