"""Calls a function on many inputs inside the sandbox; values cross as JSON, never as pickle.

This file is what runs there (as a program), and the harness imports ``encode`` and ``decode`` from it, so it uses the
standard library only. Standard input: ``{"program", "entry_point", "parts": [[encoded arguments, ...], ...], "limits":
[seconds, ...], "form"}``. Standard output: a line for each call, ``[encoded result, name of its type, seconds]``; a
line ``{"failed": reason}`` is the last. Each part has a fresh namespace. What the program prints goes nowhere.

All that this process says is the program's claim about its own results. It knows no expected value, so a program that
writes the lines itself gains nothing.
"""

import json
import os
import signal
import sys
import time
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_DEPTH = 200
_BIG = 1 << 3000


class Opaque:
    """A value that has no counterpart on the other side; equal to nothing, itself included."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)


def encode(value: Any, depth: int = 0) -> Any:
    """Returns a JSON-able form: plain for str, bool, None, int, finite float and list; else ``{tag: content}``.

    Tags: ``i`` big int, ``f`` nan or infinity, ``c`` complex, ``q`` Fraction, ``D`` Decimal, ``b`` bytes, ``t`` tuple,
    ``s`` set, ``d`` dict, ``o`` anything else (its type's name). NumPy scalars count as the Python value they hold.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int(value)
        return number if -_BIG < number < _BIG else {"i": hex(number)}
    if isinstance(value, float):
        return float(value) if value - value == 0 else {"f": repr(float(value))}
    if isinstance(value, complex):
        return {"c": [repr(value.real), repr(value.imag)]}
    if isinstance(value, bytes | bytearray):
        return {"b": bytes(value).hex()}
    if isinstance(value, Fraction):
        return {"q": [hex(value.numerator), hex(value.denominator)]}
    if isinstance(value, Decimal):
        return {"D": str(value)}
    if isinstance(value, list | tuple | set | frozenset | dict) and depth < MAX_DEPTH:
        return _encode_container(value, depth + 1)
    kind = type(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return encode(value.item(), depth)
    return {"o": f"{kind.__module__}.{kind.__qualname__}"}


def _encode_container(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return {"d": [[encode(key, depth), encode(item, depth)] for key, item in value.items()]}
    items = [encode(item, depth) for item in value]
    return items if isinstance(value, list) else {"t" if isinstance(value, tuple) else "s": items}


def decode(form: Any) -> Any:
    """The value of a form of ``encode``.

    Raises:
        ValueError, TypeError, ArithmeticError: It is no such form (TypeError: a set or dict with an unhashable member).
    """
    if isinstance(form, list):
        return [decode(item) for item in form]
    if not isinstance(form, dict):
        return form
    if len(form) != 1:
        raise ValueError("not an encoded value")
    ((tag, content),) = form.items()
    if tag not in _DECODERS:
        raise ValueError("not an encoded value")
    return _DECODERS[tag](content)


_DECODERS: dict[str, Any] = {
    "i": lambda content: int(content, 16),
    "f": float,
    "c": lambda content: complex(float(content[0]), float(content[1])),
    "q": lambda content: Fraction(int(content[0], 16), int(content[1], 16)),
    "D": Decimal,
    "b": bytes.fromhex,
    "t": lambda content: tuple(decode(item) for item in content),
    "s": lambda content: {decode(item) for item in content},
    "d": lambda content: {decode(key): decode(item) for key, item in content},
    "o": Opaque,
}


class _TimeUp(BaseException):
    """The call has used its CPU time."""


def _time_up(number: int, frame: object) -> None:
    raise _TimeUp("time limit")


def _form(value: Any, form: str) -> Any:
    if form == "set":
        return set(value)
    if form == "not_none":
        return value is not None
    if form == "bool_or_not_none":
        return value if isinstance(value, bool) else value is not None
    return value


class _Caller:
    """Makes one call at a time and turns it into a line."""

    def __init__(self, form: str) -> None:
        # Bound here so that a program which replaces them in their modules breaks only itself.
        self.form, self.timer, self.clock, self.dumps = form, signal.setitimer, time.perf_counter, json.dumps

    def failed(self, error: BaseException) -> str:
        return self.dumps({"failed": f"{type(error).__name__}: {error}"[:300]})

    def load(self, program: str, entry_point: str) -> Any:
        namespace: dict[str, Any] = {}
        exec(program, namespace)  # noqa: S102  # the program under test; this process is the sandbox's
        return namespace[entry_point]

    def call(self, function: Any, arguments: Any, limit: float) -> str:
        try:
            self.timer(signal.ITIMER_PROF, limit)
            start = self.clock()
            result = function(*arguments)
            seconds = self.clock() - start
            self.timer(signal.ITIMER_PROF, 0)
            result = _form(result, self.form)
            kind = type(result)
            return self.dumps([encode(result), f"{kind.__module__}.{kind.__qualname__}", seconds])
        except BaseException as error:  # noqa: BLE001  # SystemExit and the like are results of the program too
            self.timer(signal.ITIMER_PROF, 0)
            return self.failed(error)


def main() -> None:
    """Reads the task, makes the calls, writes the lines, and leaves without running the program's exit handlers."""
    sys.set_int_max_str_digits(0)
    task = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    leave = os._exit
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    signal.signal(signal.SIGPROF, _time_up)
    caller, limits = _Caller(task["form"]), iter(task["limits"])
    for part in task["parts"]:
        arguments = [decode(item) for item in part]
        try:
            function = caller.load(task["program"], task["entry_point"])
        except BaseException as error:  # noqa: BLE001  # whatever the program does while it is loaded
            lines = iter([caller.failed(error)])
        else:
            lines = (caller.call(function, args, next(limits)) for args in arguments)
        for line in lines:
            out.write(line + "\n")
            if line.startswith("{"):
                out.flush()
                leave(0)
    out.flush()
    leave(0)


if __name__ == "__main__":
    main()
