"""Test cases on disk, in the layouts that judges and problem archives use."""

import json
import re
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.job import Checker, JudgeCase

_INPUTS = (".in", ".input", ".in.txt")
_ANSWERS = (".out", ".ans", ".a", ".sol", ".output", ".expected", ".out.txt")
_INPUT_FOLDERS = ("input", "inputs", "in")
_ANSWER_FOLDERS = ("output", "outputs", "out", "ans", "answers", "expected")
LAYOUTS = (
    "1.in + 1.out (or .ans, .a, .sol), 01 + 01.a, input01.txt + output01.txt, input/ + output/; folders are searched"
)


def load_cases(path: Path, checker: Checker | None = None) -> list[tuple[str, JudgeCase]]:
    """Reads stdin/stdout cases with their names, in natural order (2 before 10).

    Args:
        path: A folder in one of ``LAYOUTS``, or a JSON array or JSONL file of objects with ``stdin`` (or ``input``)
            and ``expected`` (or ``output``).
        checker: How to compare where a case does not say.

    Raises:
        SandboxError: Nothing there, half a pair, or a line that is not a case.
    """
    if path.is_dir():
        cases = _from_folder(path, checker)
    elif path.is_file():
        cases = _from_file(path, checker)
    else:
        raise SandboxError(f"tests {path}: no such file or folder")
    if not cases:
        raise SandboxError(f"tests {path}: no test case found; known layouts: {LAYOUTS}, or a JSONL file")
    return cases


def _from_folder(folder: Path, checker: Checker | None) -> list[tuple[str, JudgeCase]]:
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    cases = []
    for name in sorted(files, key=_natural):
        candidates = _answers_to(name)
        if not candidates:
            continue
        answers = [candidate for candidate in candidates if candidate in files]
        if not answers:
            if _is_bare(name):
                continue
            raise SandboxError(f"tests {folder}: {name} has no answer beside it, such as {candidates[0]}")
        case = JudgeCase(stdin=read_text(files[name]), expected=read_text(files[answers[0]]), checker=checker)
        cases.append((name, case))
    return cases


def _is_bare(name: str) -> bool:
    return "." not in name.rpartition("/")[2]


def _answers_to(name: str) -> list[str]:
    """The names an answer to the input file ``name`` may have; empty if ``name`` is no input file."""
    folder, _, base = name.rpartition("/")
    prefix = f"{folder}/" if folder else ""
    found = []
    for suffix in _INPUTS:
        if base.endswith(suffix) and base != suffix:
            found += [prefix + base.removesuffix(suffix) + answer for answer in _ANSWERS]
    if match := re.fullmatch(r"(input|in)([^a-z][^/]*)?", base):
        ends = ("output", "out", "ans", "answer", "expected") if match[1] == "input" else ("out", "ans")
        found += [f"{prefix}{end}{match[2] or ''}" for end in ends]
    above, _, last = folder.rpartition("/")
    if last in _INPUT_FOLDERS:
        above = f"{above}/" if above else ""
        found += [f"{above}{answers}/{twin}" for answers in _ANSWER_FOLDERS for twin in _twins(base)]
    return found or ([f"{prefix}{base}.a"] if _is_bare(name) else [])


def _twins(base: str) -> list[str]:
    stem, dot, _ = base.rpartition(".")
    other = [base.replace("input", "output")] if "input" in base else []
    return [base, *other, *([stem + answer for answer in _ANSWERS] if dot else [])]


def _from_file(path: Path, checker: Checker | None) -> list[tuple[str, JudgeCase]]:
    text = read_text(path)
    if text.lstrip().startswith("["):
        try:
            items: list[tuple[str, Any]] = [(f"case {number}", item) for number, item in enumerate(json.loads(text), 1)]
        except ValueError as error:
            raise SandboxError(f"tests {path}: not JSON: {error}") from None
    else:
        items = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    items.append((f"line {number}", json.loads(line)))
                except ValueError as error:
                    raise SandboxError(f"tests {path}, line {number}: not JSON: {error}") from None
    return [(name, _case(item, f"tests {path}, {name}", checker)) for name, item in items]


def _case(item: Any, place: str, checker: Checker | None) -> JudgeCase:
    if not isinstance(item, dict):
        raise SandboxError(f"{place}: a case is an object with stdin and expected, not {type(item).__name__}")
    stdin, expected = item.get("stdin", item.get("input", "")), item.get("expected", item.get("output"))
    if not isinstance(stdin, str) or not isinstance(expected, str):
        raise SandboxError(f"{place}: stdin (or input) and expected (or output) must both be text")
    try:
        own = Checker.model_validate(item["checker"]) if item.get("checker") is not None else checker
    except ValueError as error:
        raise SandboxError(f"{place}, checker: {str(error).splitlines()[-2].strip()}") from None
    return JudgeCase(stdin=stdin, expected=expected, checker=own)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        SandboxError: It cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise SandboxError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise SandboxError(f"cannot read {path}: {error.strerror}") from None


def _natural(name: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]
