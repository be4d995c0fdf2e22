"""``ringlite grade answers``: the batch format, bad lines, and being killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.grade_answers import app
from harness.errors import UsageError

COMMAND = [sys.executable, "-c", "from harness.cli.grade_answers import app; app()"]
ROWS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"id": "a", "kind": "math", "gold": "\\frac{1}{2}", "response": "so \\boxed{0.5}"},
        {"id": "a", "correct": True, "extracted": "0.5", "status": "ok", "scorer": "strict"},
    ),
    (
        {"id": 2, "kind": "aime", "gold": "25", "response": "<think>7</think> \\boxed{025}"},
        {"id": 2, "correct": True, "extracted": "025", "status": "ok", "scorer": "strict"},
    ),
    (
        {"id": "c", "kind": "choice", "gold": "B", "response": "**Answer: (B)**"},
        {"id": "c", "correct": True, "extracted": "B", "status": "ok", "scorer": "choice"},
    ),
    (
        {"id": "\ud800", "kind": "math", "gold": "5", "response": "\x00\udfff \\boxed{5}"},
        {"id": "\ud800", "correct": True, "extracted": "5", "status": "ok", "scorer": "strict"},
    ),
    (
        {"id": "n", "kind": "math", "gold": ["4", "5"], "response": "it may be 5 or so"},
        {"id": "n", "correct": False, "extracted": None, "status": "no_answer", "scorer": "strict"},
    ),
    (
        {"id": "t", "kind": "math", "gold": "5", "response": "<think>still", "truncated": True},
        {"id": "t", "correct": False, "extracted": None, "status": "truncated", "scorer": "strict"},
    ),
]


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_format_to_the_letter(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [row for row, _ in ROWS])
    result = run(source, tmp_path / "out.jsonl", "--workers", 2)
    assert result.exit_code == 0, result.output
    assert read(tmp_path / "out.jsonl") == [expected for _, expected in ROWS]


def test_the_scorer_of_the_paper(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [ROWS[0][0]])
    assert run(source, tmp_path / "out.jsonl", "--scorer", "math-verify", "-q").exit_code == 0
    (verdict,) = read(tmp_path / "out.jsonl")
    assert (verdict["correct"], verdict["scorer"]) == (True, "math-verify")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"garbage", "line 1 is not JSON"),
        (b"[1, 2]", "holds a JSON list"),
        (b"\xff\xfe", "line 1 is not JSON"),
        (b"[" * 100_000, "line 1 is not JSON"),
        (b'{"id": 1, "kind": "math"}', "lacks gold, response"),
        (b'{"id": 1, "kind": "maths", "gold": "5", "response": ""}', "known: math, aime, choice"),
        (b'{"id": 1, "kind": "math", "gold": null, "response": ""}', "gold"),
        (b'{"id": 1, "kind": "math", "gold": "5", "response": 5}', "response"),
        (b'{"id": 1, "kind": "aime", "gold": "1000", "response": "5"}', "0 to 999"),
        (b'{"id": 1, "kind": "choice", "gold": "Z", "response": "A"}', "one of A, B, C, D"),
        (b'{"id": 1, "kind": "math", "gold": "5", "response": "\\\\boxed{9^{9^{9}}}"}', "tower"),
    ],
)
def test_a_line_that_cannot_be_graded_says_why(line: bytes, reason: str, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(line + b"\n" + json.dumps(ROWS[2][0]).encode() + b"\n")
    assert run(source, tmp_path / "out.jsonl").exit_code == 0
    first, second = read(tmp_path / "out.jsonl")
    assert (first["correct"], first["status"]) == (False, "refused_input")
    assert reason in first["reason"]
    assert second == ROWS[2][1]


@pytest.mark.parametrize("kill_after", [0.5, 2.5])
def test_a_killed_run_is_continued(kill_after: float, tmp_path: Path) -> None:
    rows = [
        {"id": number, "kind": "math", "gold": f"x+{number}", "response": f"\\boxed{{{number - number % 2}+x}}"}
        for number in range(600)
    ]
    source, output = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    process = subprocess.Popen([*COMMAND, source, output, "--workers", "1"], stderr=subprocess.DEVNULL)
    time.sleep(kill_after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = output.read_bytes() if output.exists() else b""
    output.write_bytes(done + b'{"id": 99, "corr')  # what a machine that lost its power may leave
    assert run(source, output, "--workers", 2).exit_code == 0
    assert output.read_bytes().startswith(done[: done.rfind(b"\n") + 1])
    assert [(row["id"], row["correct"]) for row in read(output)] == [(n, n % 2 == 0) for n in range(600)]
    before = output.read_bytes()
    assert run(source, output).exit_code == 0
    assert output.read_bytes() == before


def test_usage_errors_name_the_way_out(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [ROWS[0][0]])
    other = write(tmp_path / "other.jsonl", [ROWS[1][0]])
    out = tmp_path / "out.jsonl"
    for arguments, message in [
        ((tmp_path / "none.jsonl", out), "does not exist"),
        ((source, source), "is the input itself"),
        ((source, tmp_path / "no" / "out.jsonl"), "make it first"),
        ((source, out, "--scorer", "strickt"), "did you mean 'strict'"),
        ((source, out, "--workers", 0), "at least 1 worker"),
        ((source, other), "not a grade of this command"),
    ]:
        error = run(*arguments).exception
        assert isinstance(error, UsageError), arguments
        assert message in str(error)
    assert run(source, out).exit_code == 0
    error = run(other, out).exception
    assert isinstance(error, UsageError)
    assert "does not have there" in str(error)
    error = run(source, out, "--scorer", "math-verify").exception
    assert "graded by strict, not math-verify" in str(error)
