"""Programs that are right although they do what simple sandboxes stumble over."""

import ast
import importlib.util
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox

PROGRAMS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "programs.toml").read_text())["program"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as made:
        yield made


def test_the_suite_is_large_enough() -> None:
    assert len({program["name"] for program in PROGRAMS}) == len(PROGRAMS) >= 60


@pytest.mark.parametrize("program", PROGRAMS, ids=[program["name"] for program in PROGRAMS])
def test_honest_program_is_accepted(program: dict[str, Any], sandbox: Sandbox) -> None:
    if "needs" in program and importlib.util.find_spec(program["needs"]) is None:
        pytest.skip(f"{program['needs']} is not installed")
    code = program["code"].lstrip("\n") if "code" in program else ast.literal_eval(program["code_py"])
    expected = program.get("expected") or eval(program["expected_py"])
    case = {"stdin": program.get("stdin", ""), "expected": expected}
    fields = {key: program[key] for key in ("limits", "options") if key in program}
    result = sandbox.judge(code, [case], **fields)
    assert result.verdict == "accepted", (result.verdict, result.message, result.stdout[-500:], result.stderr[-800:])
