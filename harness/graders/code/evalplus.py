"""HumanEval+ and MBPP+: a program against the canonical solution, base inputs and added inputs.

Both run in the sandbox on the same inputs; results come out as data and are compared here by the rules of evalplus
0.3.1 (evalplus/eval/__init__.py): ``==``, for floats a relative 1e-7 with the problem's or 1e-6 absolute tolerance, and
the special oracles of a few problems. A call may use four times the time of the canonical solution, at least 4 s, in
CPU seconds of its process.
"""

import importlib.resources
import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from harness.graders.code.driver import Digest, decode, encode
from harness.graders.code.mbpp_inputs import arguments
from sandbox.errors import SandboxError
from sandbox.job import Job, Limits, Options, Result

MIN_TIME_S, TIME_FACTOR, TASK_TIME_S = 4.0, 4.0, 60.0
MEMORY_LIMIT_MB = 4096
SET_TASKS = frozenset(
    (
        "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum",
        "intersection_array", "find_dissimilar", "Diff",
    )
)  # fmt: skip
NOT_NONE_TASKS = frozenset(["check_str", "text_match_three", "text_starta_endb"])


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call returned: value, name of its type, seconds. Or why there is none."""

    value: Any = None
    kind: str = ""
    seconds: float = 0.0
    failed: str | None = None


class _NeedValues(Exception):
    """Two large results with floats differ: whether within tolerance, only the values can tell."""


class Oracle:
    """Judges programs; the canonical solutions are run once a problem. Threads may share it."""

    def __init__(self, execute: Callable[[Job], Result]) -> None:
        """``execute`` runs a job in the sandbox and raises where there is no verdict."""
        self._execute = execute
        self._expected: dict[tuple[str, str, bool], list[list[Answer]]] = {}
        self._locks: dict[tuple[str, str, bool], threading.Lock] = {}
        self._guard = threading.Lock()

    def judge(self, program: str, gold: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        """Returns whether the program is right on base and added inputs, with both verdicts in the evidence.

        Raises:
            SandboxError: The sandbox failed, or the canonical solution does not run in it.
        """
        try:
            return self._judge(program, gold, whole=False)
        except _NeedValues:
            return self._judge(program, gold, whole=True)

    def _judge(self, program: str, gold: dict[str, Any], whole: bool) -> tuple[bool, dict[str, Any]]:
        expected = self.expected(gold, whole)
        limits = [max(MIN_TIME_S, TIME_FACTOR * answer.seconds) for part in expected for answer in part]
        answers, result = self._run(program, gold, limits, "candidate", whole)
        verdicts: dict[str, bool] = {}
        found: dict[str, Any] = {"verdict": result.verdict, "cpu_s": round(result.cpu_s, 3)}
        for name, part, wanted, inputs in zip(("base", "plus"), answers, expected, _inputs(gold), strict=True):
            fault = _first_fault(part, wanted, inputs, gold)
            verdicts[name] = fault is None
            if fault is not None and "failing" not in found:
                found |= {"failing": name, "failing_test": fault[0], "message": fault[1]}
        plus = verdicts["base"] and verdicts["plus"]
        if found["verdict"] == "accepted" and not plus:
            found["verdict"] = "wrong_answer"
        return plus, {**found, "base": verdicts["base"], "plus": plus}

    def expected(self, gold: dict[str, Any], whole: bool = False) -> list[list[Answer]]:
        """What the canonical solution returns on the base inputs and on the added ones; large values as ``Digest``."""
        key = (gold["dataset"], gold["task_id"], whole)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._expected:
                program = gold["prompt"] + gold["canonical_solution"]
                count = len(gold["base_input"]) + len(gold["plus_input"])
                answers, result = self._run(program, gold, [TASK_TIME_S] * count, "canonical", whole)
                missing = next((answer for part in answers for answer in part if answer.failed is not None), None)
                if missing is not None:
                    raise SandboxError(
                        f"the canonical solution of {key[1]} fails in the sandbox: {missing.failed} ({result.message})"
                    )
                self._expected[key] = answers
            return self._expected[key]

    def _run(
        self, program: str, gold: dict[str, Any], limits: Sequence[float], role: str, whole: bool
    ) -> tuple[list[list[Answer]], Result]:
        parts = _inputs(gold)
        task = {
            "program": program,
            "entry_point": gold["entry_point"],
            "parts": [[encode(args) for args in part] for part in parts],
            "limits": limits,
            "form": _form(gold, role),
            "whole": whole,
        }
        total = min(TASK_TIME_S, sum(limits)) * len(parts) + 2
        job = Job(
            id=gold["task_id"],
            code=_driver(),
            limits=Limits(time_s=total, memory_mb=MEMORY_LIMIT_MB, output_kb=(1 << 19) if whole else (1 << 16)),
            options=Options(stdin=json.dumps(task)),
        )
        result = self._execute(job)
        return _answers(result, [len(part) for part in parts]), result


def _driver() -> str:
    return importlib.resources.files(__package__).joinpath("driver.py").read_text(encoding="utf-8")


def _inputs(gold: dict[str, Any]) -> list[list[Sequence[Any]]]:
    parts = [gold["base_input"], gold["plus_input"]]
    return [arguments(gold["task_id"], part) if gold["dataset"] == "mbpp" else list(part) for part in parts]


def _form(gold: dict[str, Any], role: str) -> str:
    if gold["dataset"] == "mbpp" and gold["entry_point"] in SET_TASKS:
        return "set"
    if gold["dataset"] == "mbpp" and gold["entry_point"] in NOT_NONE_TASKS:
        return "not_none" if role == "canonical" else "bool_or_not_none"
    return "value"


def _answers(result: Result, sizes: Sequence[int]) -> list[list[Answer]]:
    """Reads the driver's lines; calls without a line did not happen, for the reason that the sandbox gives."""
    silent = Answer(failed=result.message or result.verdict)
    flat: list[Answer] = []
    for line in result.stdout.splitlines():
        flat.append(_answer(line))
        if flat[-1].failed is not None:
            silent = flat[-1]
            break
    flat = (flat + [silent] * sum(sizes))[: sum(sizes)]
    return [flat[: sizes[0]], flat[sizes[0] :]]


def _answer(line: str) -> Answer:
    try:
        form = json.loads(line)
        if isinstance(form, dict):
            return Answer(failed=str(form.get("failed"))[:300])
        value, kind, seconds = form
        return Answer(decode(value), str(kind), float(seconds))
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RecursionError) as error:
        return Answer(failed=f"unreadable result: {error}"[:300])


def _first_fault(
    answers: Sequence[Answer], expected: Sequence[Answer], inputs: Sequence[Sequence[Any]], gold: dict[str, Any]
) -> tuple[int, str] | None:
    """Number and reason of the first input on which the program is wrong; None: it is right on all."""
    tolerance = float(gold["atol"])
    for number, (answer, wanted, args) in enumerate(zip(answers, expected, inputs, strict=True)):
        if answer.failed is not None:
            return number, answer.failed
        try:
            right = _special(answer.value, args, gold, tolerance)
            if gold["entry_point"] != "find_zero":
                # As in evalplus, a problem whose results turn out to be floats has a tolerance from there on.
                tolerance = tolerance or (1e-6 if _floats(wanted.value) else 0.0)
                right = (
                    right
                    or bool(answer.value == wanted.value)
                    or (tolerance != 0 and _close(answer, wanted, tolerance))
                )
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            return number, f"not comparable: {error}"[:300]
        if not right:
            return number, "wrong result"
    return None


def _special(out: Any, args: Sequence[Any], gold: dict[str, Any], tolerance: float) -> bool:
    """Whether one of the oracles for problems with several right results accepts ``out``."""
    name = gold["entry_point"]
    if gold["dataset"] == "humaneval":
        return name == "find_zero" and bool(abs(_polynomial(args[0], out)) <= tolerance)
    if name == "are_equivalent":
        return True
    if name == "sum_div":
        return bool(out == 0)
    if name == "surface_Area":
        return bool(abs(out - _pyramid_surface(*args)) <= tolerance)
    return name == "digit_distance_nums" and bool(out == _digit_distance(*args))


def _close(answer: Answer, wanted: Answer, tolerance: float) -> bool:
    sides = [side for side in (answer.value, wanted.value) if isinstance(side, Digest)]
    if sides and any(side.floats for side in sides):
        raise _NeedValues
    if answer.kind != wanted.kind:
        return False
    if isinstance(wanted.value, list | tuple) and len(answer.value) != len(wanted.value):
        return False
    return bool(numpy.allclose(answer.value, wanted.value, rtol=1e-7, atol=tolerance))


def _floats(value: Any) -> bool:
    if isinstance(value, Digest):
        return value.floats == "all"
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    return sum(coefficient * math.pow(x, power) for power, coefficient in enumerate(coefficients))


def _pyramid_surface(base: float, height: float) -> int:
    """Mbpp/581 with the height taken as that of the apex over the base, instead of the slant height."""
    return round(base**2 + 2 * base * math.hypot(base / 2, height))


def _digit_distance(first: int, second: int) -> int:
    """Mbpp/558 with the shorter number padded with zeros on the left."""
    width = max(len(str(first)), len(str(second)))
    pairs = zip(str(first).zfill(width), str(second).zfill(width), strict=True)
    return sum(abs(int(a) - int(b)) for a, b in pairs)
