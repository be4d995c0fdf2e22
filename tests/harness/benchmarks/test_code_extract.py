"""Programs out of responses: the shapes in which base and chat models write HumanEval's functions."""

import textwrap
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.card import load_card
from harness.graders.code.extract import after_thinking, function_program, last_block, parses
from harness.problems import LoadOptions, load_problems

SHAPES: dict[str, Callable[[str, str, str], str]] = {
    "continued": lambda p, c, e: c,
    "continued, then the next example": lambda p, c, e: (
        c + "\n\ndef test():\n    assert 0\n\nprint(nothing)\nassert 1 == 2\nfor x in range("
    ),
    "continued, then prose": lambda p, c, e: c + "\n\nThis function loops.\nIt's fast.",
    "first indentation lost": lambda p, c, e: c.lstrip(),
    "prompt repeated": lambda p, c, e: p + c,
    "block": lambda p, c, e: f"Here it is:\n```python\n{p}{c}\n```\nDone.",
    "block without imports, with a show": lambda p, c, e: (
        f"Sure.\n\n```python\n{p[p.rindex('def ' + e) :]}{c}\n\nprint({e}(nothing))\nassert False\n"
        "if __name__ == '__main__':\n    main()\n```\nIt's done."
    ),
    "body in a block": lambda p, c, e: f"```\n{c}```",
    "body in a block, dedented": lambda p, c, e: f"```\n{textwrap.dedent(c)}```",
    "two blocks": lambda p, c, e: f"```python\n{p}{c}```\nUsage:\n```python\nprint({e}(1))\n```",
    "unclosed block": lambda p, c, e: f"```python\n{p}{c}",
    "no fences": lambda p, c, e: f"The solution:\n\n{p}{c}\n\nI hope it helps. Don't hesitate.",
    "block in a list": lambda p, c, e: f"1. code\n   ```python\n{textwrap.indent(p + c, '   ')}\n   ```\n",
    "CRLF": lambda p, c, e: f"```python\n{p}{c}\n```".replace("\n", "\r\n"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_canonical_solutions_survive_every_shape(shape: str) -> None:
    for problem in load_problems(load_card("humaneval"), None, LoadOptions(hub="never")):
        gold = problem.gold
        response = SHAPES[shape](gold["prompt"], gold["canonical_solution"], gold["entry_point"])
        program = function_program(response, gold["prompt"], gold["entry_point"])
        assert program is not None
        names: dict[str, object] = {}
        exec(program + "\n" + gold["test"] + f"\ncheck({gold['entry_point']})", names)


PROMPT = 'def f(x):\n    """Doc."""\n'


@pytest.mark.parametrize(
    "text", ["", "   \n", "I don't know.", "The answer is 5", "Sorry, I can't do this.\nBye.", "```\n```"]
)
def test_prose_is_no_program(text: str) -> None:
    assert function_program(text, PROMPT, "f") is None


def test_helpers_after_the_function_are_kept() -> None:
    program = function_program("    return g(x)\n\n\ndef g(x):\n    return x + 1\n\nprint(f(", PROMPT, "f")
    names: dict[str, object] = {}
    exec(program or "", names)
    assert names["f"](1) == 2  # type: ignore[operator]


def test_the_last_block_that_defines_the_function_wins() -> None:
    text = "```python\ndef f(x):\n    return 1\n```\nBetter:\n```python\ndef f(x):\n    return 2\n```\n```\nf(3)\n```"
    names: dict[str, object] = {}
    exec(function_program(text, PROMPT, "f") or "", names)
    assert names["f"](0) == 2  # type: ignore[operator]


def test_future_imports_stay_first() -> None:
    prompt = "import math\n\n\n" + PROMPT
    program = function_program(
        "```python\nfrom __future__ import annotations\ndef f(x: Late) -> Late:\n    return x\n```", prompt, "f"
    )
    exec(compile(program or "", "p", "exec"), {})


def test_settings_at_the_top_level_are_kept() -> None:
    program = function_program(
        "```python\nimport sys\nsys.setrecursionlimit(9999)\nT = {1: 2}\ndef f(x):\n    return T[x]\nf(1)\n```",
        PROMPT,
        "f",
    )
    assert program is not None
    assert "setrecursionlimit" in program
    assert "T = {1: 2}" in program
    assert "\nf(1)" not in program


def test_mbpp_prompts_are_docstrings_that_a_program_follows() -> None:
    assert (
        function_program("```python\ndef g():\n    return 1\n```", '"""\nWrite g.\n"""\n', "g")
        == "def g():\n    return 1"
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\na\nb\n```", "a\nb"),
        ("```\none\n```\ntext\n```py\ntwo\n```\nend", "two"),
        ("```\none\n```\n```\ntwo", ""),  # upstream's rule: the lines between the last two fences
        ("no fence", ""),
        ("```python\nx", ""),
        ("a ```inline``` b\nc\n``` ", "c"),
    ],
)
def test_livecodebench_rule(text: str, code: str) -> None:
    assert last_block(text) == code


@pytest.mark.parametrize(
    ("text", "answer"),
    [("<think>a</think>b", "b"), ("a</think>b</think>c", "c"), ("plain", "plain"), ("<think>never closed", None)],
)
def test_thinking_is_not_the_answer(text: str, answer: str | None) -> None:
    assert after_thinking(text) == answer


@given(st.text(max_size=300))
def test_no_text_breaks_the_extraction(text: str) -> None:
    for response in (text, f"```python\n{text}", f"{text}\n```\ndef f(x):\n{text}\n```"):
        program = function_program(response, PROMPT, "f")
        assert program is None or isinstance(program, str)


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "-" * 100_000 + "1", "[" * 5_000 + "]" * 5_000, "x\n" * 200_000, "\x00", "a=" * 50_000 + "1"],
)
def test_hostile_texts_are_refused_and_not_parsed_for_ever(text: str) -> None:
    assert function_program(f"```python\ndef f(x):\n    return {text}\n```", PROMPT, "f") is not None
    assert isinstance(parses(text), bool)
