"""The narrowed search finds what Math-Verify's own search finds, match by match."""

import re
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from math_verify import parse
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig, get_extraction_regexes

from harness.graders.math import scanning

ORIGINAL = get_extraction_regexes((LatexExtractionConfig(), ExprExtractionConfig()))
PAIRS = [
    (pattern, narrowed)
    for (patterns, _), (ours, _) in zip(ORIGINAL, scanning._targets(), strict=True)
    for (pattern, _), (narrowed, _) in zip(patterns, ours, strict=True)
]
PIECES = [
    *("$", "$$", "$$$", "\\$", "\\[", "\\]", "\\(", "\\)", " [", "\n[", "] ", "]\n", "\\", "\\\\", "{", "}"),
    *("\\boxed{", "\\boxed{5}", "$\\boxed{7}$", "\\[\\boxed{8}\\]", "\\(\\boxed{9}\\)", " [\\boxed{3}] "),
    *("$$\n\\boxed{x+1}\n$$", "\\boxed{\\text{(A)}}", "\\fbox{2}", "\\boxed 6", "\\frac{1}{2}", "-\\frac{1.5}{2}"),
    *("final answer is", "Final Answer", "FINAL ANSWER IS: ", "answer", "Answer:", "ANSWER"),
    *(" is ", " is: ", ". I hope"),
    *("f\u0131nal answer", "final an\u017fwer is ", "F\u0130NAL ANSWER", "\u212a", "é", "\ud800", "答案"),
    *(" ", "\n", "\n\n", "\t", "12", "3.5", "1,024", "-7", " = ", "=", ",", " and ", ", or ", "%", "\\%", " percent"),
    *("x", "a b", "1/2", "2+3", "(4-1)", "**", "</think>", "10$", "word " * 12),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


def spans(matches):
    return [(match.span(), match.groupdict()) for match in matches]


def test_which_patterns_are_narrowed():
    kinds = [type(narrowed).__name__ for _, narrowed in PAIRS]
    assert kinds == [*["WordPattern"] * 4, "Pattern", "BoxPattern", "Pattern", *["WordPattern"] * 4, *["Pattern"] * 2]


@settings(max_examples=1500, deadline=None)
@given(TEXTS)
@example("$$$\\boxed{1}$$")
@example("\\[ x \\] \\[ \\boxed{1} \\] and \\[\\boxed{2}\\]")
@example("\n[\\boxed{4}]\n")
@example("$$ a $$ b \\boxed{1} $$")
@example("$\\boxed{1}\n$ and \\(\\boxed{2}\\) or $\\boxed{3}$")
def test_every_pattern_finds_the_same_matches(text):
    for pattern, narrowed in PAIRS:
        assert spans(narrowed.finditer(text)) == spans(pattern.finditer(text)), pattern.pattern[:60]


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_a_response_is_parsed_to_the_same_objects(text):
    assert list(map(str, scanning.parse_response(text))) == list(map(str, parse(text, parsing_timeout=None)))


def test_no_other_character_passes_for_a_letter_of_the_words():
    letters = set("".join(scanning._WORDS)) - {" "}
    patterns = re.compile("|".join(f"(?i:{letter})" for letter in sorted(letters)))
    others = {char for code in range(128, sys.maxunicode + 1) if patterns.fullmatch(char := chr(code))}
    assert others == scanning.SPECIAL_CASES


def test_lower_case_keeps_every_character_at_its_place():
    longer = {char for code in range(sys.maxunicode + 1) if len((char := chr(code)).lower()) != 1}
    assert longer <= scanning.SPECIAL_CASES


@pytest.mark.parametrize(
    "end", ["$\\boxed{42}$", "The final answer is $42$. I hope it is correct.", "Answer: 42", "42"]
)
def test_a_long_response_is_parsed_as_math_verify_does(end):
    thought = "We see that $x^2 = 4$, so \\(x = 2\\), and\n\\[ y = \\frac{1}{2} \\] holds for n = 1,024.\n" * 200
    assert scanning.parse_response(thought + end) == parse(thought + end, parsing_timeout=None)
