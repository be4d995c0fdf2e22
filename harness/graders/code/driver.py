"""Calls a function on many inputs inside the sandbox; values cross as JSON, never as pickle.

This file is what runs there (as a program), and the harness imports ``encode`` and ``decode`` from it, so it uses the
standard library only. Standard input: ``{"program", "entry_point", "parts": [[encoded arguments, ...], ...], "limits":
[seconds, ...], "form", "whole"}``. Standard output: a line for each call, ``[encoded result, name of its type,
seconds]``; a line ``{"failed": reason}`` is the last. Each part has a fresh namespace. What it prints goes nowhere.

All that this process says is the program's claim about its own results. It knows no expected value, so a program that
writes the lines itself gains nothing.
"""

import hashlib
import json
import os
import signal
import sys
import time
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any

MAX_DEPTH = 200
LARGE = 20_000
_ENDLESS = 50_000_000
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


class Digest:
    """A large value by its hash; equal to a value (or Digest) whose hash is the same.

    ``floats``: "all" for a list or tuple of floats only, "some" if there is a float anywhere in it, else "".
    """

    __slots__ = ("floats", "hash")

    def __init__(self, content: str, floats: str = "") -> None:
        self.hash, self.floats = content, floats

    def __eq__(self, other: object) -> bool:
        return self.hash == (other.hash if isinstance(other, Digest) else digest(other))

    def __hash__(self) -> int:
        return hash(self.hash)


def digest(value: Any) -> str:
    """SHA-256 of a value, the same for values that ``==`` holds equal: 1, 1.0 and True, sets in any order, ...

    Made piece by piece, so that a large value is not copied.
    """
    content = hashlib.sha256()
    _feed(content.update, value, 0)
    return content.hexdigest()


_PLAIN_NUMBERS = {int, float, bool}


def _feed(update: Any, value: Any, depth: int) -> None:
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        update(b"[" if isinstance(value, list) else b"(")
        kinds = set(map(type, value))
        if kinds <= _PLAIN_NUMBERS:  # the same bytes as below, many times faster
            update("".join([f"n{_number(item)}," for item in value]).encode())
        elif len(kinds) == 1 and kinds <= {list, tuple} and set(map(type, chain.from_iterable(value))) == {str}:
            # Only texts, two levels deep: repr tells them apart as well as == does, at the speed of C.
            for start in range(0, len(value), 10_000):
                update(repr(value[start : start + 10_000]).encode("utf-8", "surrogatepass"))
        else:
            for item in value:
                _feed(update, item, depth + 1)
        update(b"]")
    elif isinstance(value, set | frozenset) and depth < MAX_DEPTH:
        update(f"s{sorted(digest(item) for item in value)}".encode())
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        update(f"d{sorted((digest(key), digest(item)) for key, item in value.items())}".encode())
    elif isinstance(value, int | float | complex | Fraction | Decimal):
        update(f"n{_number(value)},".encode())
    elif isinstance(value, str):
        update(f"u{len(value)},".encode() + value.encode("utf-8", "surrogatepass"))
    else:
        update(json.dumps(encode(value, depth)).encode())


def _number(value: Any) -> str:
    """A text that equal numbers share, whatever their type; nan, which equals nothing, gets one that never recurs."""
    if isinstance(value, int):
        return f"{value:x}"
    if isinstance(value, float):
        return f"{int(value):x}" if value.is_integer() else value.hex() if value == value else os.urandom(16).hex()
    if isinstance(value, complex):
        return _number(value.real) if value.imag == 0 else f"{_number(value.real)}j{_number(value.imag)}"
    numerator, denominator = value.as_integer_ratio()
    if denominator == 1 or denominator & (denominator - 1):
        return f"{numerator:x}" if denominator == 1 else f"{numerator:x}/{denominator:x}"
    return _number(float(value)) if float(value) == value else f"{numerator:x}/{denominator:x}"


def reduced(value: Any) -> Any:
    """The value, or its ``Digest`` if it has more than ``LARGE`` members (or characters, eight counting as one)."""
    count, floats, waiting = 0, "", [value]
    while waiting and count + len(waiting) < _ENDLESS:
        item = waiting.pop()
        count += 1 + (len(item) // 8 if isinstance(item, str | bytes) else 0)
        if isinstance(item, float | complex):
            floats = "some"
        elif isinstance(item, dict):
            waiting.extend(item.values())
            waiting.extend(item)
        elif isinstance(item, list | tuple | set | frozenset):
            kinds = set(map(type, item))
            if kinds <= _PLAIN_NUMBERS or kinds == {str}:
                count += len(item)
                floats = "some" if float in kinds else floats
            elif kinds <= {list, tuple} and set(map(type, chain.from_iterable(item))) == {str}:
                count += sum(map(len, item))
            else:
                waiting.extend(item)
    if count + len(waiting) <= LARGE:
        return value
    if isinstance(value, list | tuple) and value and set(map(type, value)) == {float}:
        floats = "all"
    return Digest(digest(value), floats)


def encode(value: Any, depth: int = 0) -> Any:
    """Returns a JSON-able form: plain for str, bool, None, int, finite float and list; else ``{tag: content}``.

    Tags: ``i`` big int, ``f`` nan or infinity, ``c`` complex, ``q`` Fraction, ``D`` Decimal, ``b`` bytes, ``t`` tuple,
    ``s`` set, ``z`` frozenset, ``d`` dict, ``h`` Digest, ``o`` anything else (its type's name). A NumPy scalar counts
    as the Python value that it holds.
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
    if isinstance(value, Digest):
        return {"h": [value.hash, value.floats]}
    kind = type(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return encode(value.item(), depth)
    return {"o": f"{kind.__module__}.{kind.__qualname__}"}


def _encode_container(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return {"d": [[encode(key, depth), encode(item, depth)] for key, item in value.items()]}
    items = [encode(item, depth) for item in value]
    if isinstance(value, list):
        return items
    return {"t" if isinstance(value, tuple) else "s" if isinstance(value, set) else "z": items}


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
    "z": lambda content: frozenset(decode(item) for item in content),
    "d": lambda content: {decode(key): decode(item) for key, item in content},
    "o": Opaque,
    "h": lambda content: Digest(*content),
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

    def __init__(self, form: str, whole: bool) -> None:
        # Bound here so that a program which replaces them in their modules breaks only itself.
        self.whole = whole
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
            if not self.whole:
                result = reduced(result)
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
    caller, limits = _Caller(task["form"], task["whole"]), iter(task["limits"])
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
