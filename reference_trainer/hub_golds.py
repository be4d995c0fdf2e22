"""What a row of a published data set is verified with, in the form of ``tasks.verifier.Attempt.gold``."""

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any


class NoGold(Exception):
    """The row cannot be verified; the message is the reason, the same for all rows of its kind."""


def text_gold(answer: Any) -> str | list[str]:
    """The answer of a mathematics or science problem: a text, or several that are all right.

    Raises:
        NoGold: There is none.
    """
    if isinstance(answer, list):
        texts = [text for item in answer if (text := _text(item))]
        if texts:
            return texts
    elif text := _text(answer):
        return text
    raise NoGold("no answer")


def code_gold(tests: Any, entry_point: str | None = None) -> dict[str, Any]:
    """The tests of a code problem.

    Args:
        tests: List of ``{"input", "output"}``, of assertions about one function, or of objects that hold one under any
            name; also as JSON text. With an entry point, inputs and outputs are JSON: one value a line is one argument.
        entry_point: Function that is tested; assertions name it themselves.

    Raises:
        NoGold: No test, or one in another form: all tests must pass, so none may be left out.
    """
    if isinstance(tests, str):
        try:
            tests = json.loads(tests)
        except ValueError:
            tests = [line for line in tests.splitlines() if line.strip()]
    if not isinstance(tests, Sequence) or not tests:
        raise NoGold("no tests")
    # A table gives every row the keys of all rows, with None where a row has none.
    rows = [{k: v for k, v in test.items() if v is not None} if isinstance(test, Mapping) else test for test in tests]
    if all(isinstance(row, Mapping) and {"input", "output"} <= row.keys() for row in rows):
        return _function(rows, entry_point) if entry_point else {"cases": [_stdin(row) for row in rows]}
    return _assertions([_only_text(row) for row in rows], entry_point)


def _stdin(row: Mapping[str, Any]) -> dict[str, str]:
    def text(value: Any) -> str:
        return "\n".join(map(str, value)) if isinstance(value, list) else str(value)

    return {"stdin": text(row["input"]), "expected": text(row["output"])}


def _function(rows: Sequence[Mapping[str, Any]], entry_point: str) -> dict[str, Any]:
    def values(content: Any) -> list[Any]:
        if not isinstance(content, str):
            return content if isinstance(content, list) else [content]
        try:
            return [json.loads(line) for line in content.splitlines() if line.strip()]
        except ValueError:
            raise NoGold("arguments or results of a function that are no JSON") from None

    cases = []
    for row in rows:
        result = values(row["output"]) if isinstance(row["output"], str) else [row["output"]]
        if len(result) != 1:
            raise NoGold("not one result a call")
        cases.append([values(row["input"]), result[0]])
    return {"entry_point": entry_point, "cases": cases}


def _assertions(texts: Sequence[str], entry_point: str | None) -> dict[str, Any]:
    cases: list[list[Any]] = []
    names = set()
    for text in texts:
        try:
            statements = ast.parse(text.strip()).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise NoGold("tests that are neither input and output nor assertions") from None
        for statement in statements:
            name, arguments, result = _assertion(statement)
            names.add(name)
            cases.append([arguments, result])
    if len(names) != 1 or not cases:
        raise NoGold("assertions about several functions" if names else "no tests")
    named = names.pop()
    if entry_point and named not in (entry_point, "candidate"):
        raise NoGold("assertions about another function than the entry point")
    return {"entry_point": entry_point or named, "cases": cases}


def _assertion(statement: ast.stmt) -> tuple[str, list[Any], Any]:
    """``assert f(1, [2]) == 3`` to (f, [1, [2]], 3); ``assert f(1)`` and ``assert not f(1)`` expect True and False."""
    unknown = NoGold("assertions that do not compare one call with one value")
    if not isinstance(statement, ast.Assert):
        raise unknown
    test, result = statement.test, ast.Constant(True)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, result = test.operand, ast.Constant(False)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        sides = [test.left, test.comparators[0]]
        call = next((side for side in sides if isinstance(side, ast.Call)), None)
        if call is None:
            raise unknown
        test, result = call, next(side for side in sides if side is not call)  # type: ignore[assignment]  # any value
    if not isinstance(test, ast.Call) or not isinstance(test.func, ast.Name) or test.keywords:
        raise unknown
    return test.func.id, [_literal(argument) for argument in test.args], _literal(result)


def _literal(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
        if json.loads(json.dumps(value, allow_nan=False)) == value:  # what the sandbox passes on: no set, no tuple
            return value
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        pass
    raise NoGold("arguments or results of a function that are no JSON")


def _only_text(row: Any) -> str:
    texts = [row] if isinstance(row, str) else [v for v in row.values() if v] if isinstance(row, Mapping) else []
    if len(texts) == 1 and isinstance(texts[0], str):
        return texts[0]
    raise NoGold("tests that are neither input and output nor assertions")


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, bool | Mapping) else str(value).strip()
