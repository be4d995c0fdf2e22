"""Answers that are made to hang, to fill the memory, or to run code."""

import os
from pathlib import Path

import pytest

from harness.graders.math import MathGrader

TARGET = "ringlite-was-executed"
BOXED = [
    "9^{9^{9^9}}", "10^{10^{10}}", "9**9**9**9", "2^{2^{2^{2^{2^2}}}}", "(99999^{99999})^{99999}", "9^{999999999}",
    "100000!", "((9!)!)!", "9999!!", "\\binom{10^9}{10^8}", "\\sum_{n=1}^{99999} n^{n}", "\\prod_{n=1}^{99999} n",
    "\\int_0^{\\infty} \\frac{\\sin x^{17}}{x^5+1} dx", "e^{e^{e^{e^{e^{5}}}}}", "(a+b+c+d+e)^{30}",
    "\\sqrt{\\sqrt{\\sqrt{x^{13}+1}+y}+z}=1", "x^{99}+y^{99}=z^{99}", "1e999999999", "10^{-99999}",
    "(" * 5_000 + "1" + ")" * 5_000, "{" * 5_000 + "1" + "}" * 5_000, "\\frac{1}{" * 300 + "2" + "}" * 300,
    "-" * 1_500 + "1", "1+" * 900 + "1", "9" * 100_000, "x" * 3_000_000, "\\left(" * 300, "^" * 1_000, "_" * 1_000,
    "\\frac" * 300, "1\\pm" * 30 + "1", ",".join(str(i) for i in range(400)), "\\begin{pmatrix}" * 50, "1<" * 300 + "2",
    "\x00", "5\x00", "5\ud800", "\ud800\udfff",
    f"__import__('pathlib').Path('{TARGET}').touch()", f"open('{TARGET}','w')", f"exec(\"open('{TARGET}','w')\")",
    f"eval(compile('open(\\'{TARGET}\\',\\'w\\')','','exec'))", "().__class__.__base__.__subclasses__()",
    f"x=1;import os;os.system('touch {TARGET}')", f"\\write18{{touch {TARGET}}}", "\\input{/etc/passwd}", "lambda: 1",
]  # fmt: skip
WHOLE = [
    "\\boxed{" * 20_000,
    "\\boxed{" * 20_000 + "6" + "}" * 20_000,
    "\\boxed{6}" * 20_000,
    "$" * 200_000,
    "<think>" * 100_000,
    "The answer is " * 50_000,
    "answer: " * 100_000,
    "{" * 1_000_000,
    "\\" * 1_000_000,
    "答案" * 100_000,
    "#### " * 50_000,
    "<answer>" * 50_000,
    "the answer is " + "1" * 100_000,
    "\n" * 500_000,
]


@pytest.fixture
def lone() -> MathGrader:
    return MathGrader("strict", workers=1)


def test_strict_refuses_all_and_executes_nothing(
    lone: MathGrader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with lone:
        for response in [f"\\boxed{{{answer}}}" for answer in BOXED] + WHOLE:
            assert not lone.grade(response, "x^2+1").correct, response[:60]
            assert not lone.grade(response, "5").correct, response[:60]
        assert lone.grade("\\boxed{1+x^2}", "x^2+1").correct
    assert list(tmp_path.iterdir()) == []


def test_math_verify_is_isolated_just_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with MathGrader("math-verify", workers=1) as grader:
        for answer in ("9^{9^{9^9}}", "((9!)!)!", f"__import__('os').system('touch {TARGET}')", "5\ud800", "9" * 5_000):
            assert not grader.grade(f"\\boxed{{{answer}}}", "x^2+1").correct
        assert grader.grade("so $\\boxed{1+x^2}$", "x^2+1").correct
    assert list(tmp_path.iterdir()) == []


def test_a_good_answer_in_a_bad_text_is_found(strict: MathGrader) -> None:
    for noise in (
        "\x00\ud800",
        "x" * 2_000_000,
        "{" * 100_000,
        "$" * 100_000,
        "\\boxed{" * 10_000 + "\n",
        "</think>" * 9_999,
    ):
        assert strict.grade(noise + " So \\boxed{42}.", "42").correct


def test_a_hang_is_reported_and_remembered(lone: MathGrader) -> None:
    with lone:
        first = lone.grade("\\boxed{\\binom{10^9}{10^8}}", "x^2+1")
        assert first.status == "timeout"
        assert "killed" in first.evidence["reason"]
        kills = lone._pool.kills
        assert kills >= 1
        assert lone.grade("\\boxed{\\binom{10^9}{10^8}}", "x^2+1").status == "timeout"
        assert lone._pool.kills == kills


def test_memory_is_bounded(lone: MathGrader) -> None:
    from harness.graders.math import worker

    with lone:
        assert lone.grade("\\boxed{x+1}", "1+x").correct
        (running,) = lone._pool._idle
        limits = Path(f"/proc/{running.pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max address space"))
        assert line.split()[3] == str(worker.ADDRESS_SPACE)
        assert os.getpgid(running.pid) != os.getpgid(0)
