"""The conversation between tests and candidate: two processes, one socket, data only.

Either side may call the other; calls nest. Plain data crosses by value (see ``wire``). What is no plain data crosses
as a reference: the owner keeps the object, the other side gets a stand-in. Lists, dictionaries, sets and byte arrays
that are passed as arguments are brought up to date after the call, in place, so a function that changes its arguments
can be tested.
"""

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from sandbox.guest import wire

_MAX_FRAME = 256 << 20
_BUILTIN_EXCEPTIONS: dict[str, type[BaseException]] = {}
MUTABLE = (list, dict, set, bytearray)
REQUEST, ANSWER, RAISED, ASIDE, CALL, VALUE = range(6)
"""Kinds of messages. ASIDE: the candidate made calls ahead as far as can be; see ``ahead``. ``[CALL, number, *args]``:
a call with scalars, as most are, in few steps; ``[VALUE, x]`` answers one that gave a scalar and printed nothing."""


def framed(text: str) -> bytes:
    """A message as it crosses."""
    body = text.encode("ascii")
    return len(body).to_bytes(4, "big") + body


class Gone(BaseException):
    """The other side has hung up. No Exception, so that tests cannot take it for one of the candidate's."""


_READER = wire.Reader()  # made before the job's fork: making one touches many pages


class Peer:
    """One end. ``serve`` handles the other side's requests; ``hooks`` pack and build references."""

    def __init__(self, fd: int, serve: Callable[[str, list[Any]], Any], hooks: "Hooks") -> None:
        self.fd = fd
        _READER.hook = hooks.build
        self._serve = serve
        self._rest = b""
        self.text = b""  # of the message that was read last
        self.on_aside: Callable[[Any], None] | None = None
        self.on_call: Callable[[int, list[Any]], str] | None = None
        self.hooks = hooks

    def request(self, operation: str, *arguments: Any) -> Any:
        """Asks the other side; raises what it raises."""
        self.send(wire.encode([0, operation, list(arguments)], self.hooks.pack))
        return self._until_answer()

    def ask(self, text: str) -> Any:
        """Sends the text of a message and waits for the value."""
        self.send(text)
        return self._until_answer()

    def send_aside(self, last: bool) -> None:
        """Calls have been made ahead; ``last``: the answer of the last one follows."""
        self.send(f"[{ASIDE},{int(last)}]")

    def _until_answer(self) -> Any:
        while True:
            message = self.receive()
            kind = message[0]
            if kind == ANSWER:
                return message[1]
            if kind == VALUE:
                return [message[1], "", None, None]
            if kind == RAISED:
                raise self.hooks.exception(message[1])
            if kind == ASIDE and self.on_aside is not None:
                self.on_aside(message[1])
            else:
                self._serve_one(message)

    def loop(self) -> None:
        """Serves requests until the other side hangs up."""
        while True:
            self._serve_one(self.receive())

    def _serve_one(self, message: list[Any]) -> None:
        if message[0] == CALL and self.on_call is not None:
            self.send(self.on_call(message[1], message[2:]))
        elif message[0] == REQUEST and len(message) == 3:
            self._handle(message[1], message[2])
        else:
            raise Gone("the other side broke the protocol")

    def _handle(self, operation: str, arguments: list[Any]) -> None:
        try:
            value = self._serve(operation, arguments)
            text = wire.encode([1, value], self.hooks.pack)
        except Gone:
            raise
        except BaseException as error:
            text = wire.encode([2, self.hooks.describe(error)], self.hooks.pack)
        self.send(text)

    def send(self, text: str) -> None:
        """Sends a message."""
        data = memoryview(framed(text))
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError as error:
            raise Gone(str(error)) from None

    def receive(self) -> list[Any]:
        """Waits for the next message."""
        self.text = self._frame()
        return self.parse(self.text)

    @staticmethod
    def parse(text: bytes) -> list[Any]:
        """Reads a message."""
        try:
            message = _READER(text)
        except ValueError as error:
            raise Gone(f"the other side broke the protocol: {error}") from None
        if not isinstance(message, list) or len(message) < 2:
            raise Gone("the other side broke the protocol")
        return message

    def _frame(self) -> bytes:
        """The next frame; the sides take turns, so one read brings all of a small one."""
        data = self._rest or self._some()
        while len(data) < 4:
            data += self._some()
        end = 4 + int.from_bytes(data[:4], "big")
        if end > _MAX_FRAME:
            raise Gone("the other side broke the protocol")
        if len(data) < end:
            parts = [data]
            missing = end - len(data)
            while missing > 0:
                parts.append(self._some())
                missing -= len(parts[-1])
            data = b"".join(parts)
        self._rest = data[end:]
        return data[4:end]

    def _some(self) -> bytes:
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            data = b""
        if not data:
            raise Gone("the other side has hung up")
        return data


class Hooks(ABC):
    """How one side packs objects that are no data, and builds what the other side sends."""

    @abstractmethod
    def pack(self, value: Any) -> Any:
        """The tagged form of an object."""

    @abstractmethod
    def build(self, tag: str, body: Any) -> Any:
        """The object of a tag."""

    @abstractmethod
    def describe(self, error: BaseException) -> Any:
        """An exception as data: ``[name, arguments, class reference, attributes]``."""

    @abstractmethod
    def exception(self, described: Any) -> BaseException:
        """The exception to raise for a description."""


def builtin_exception(name: str) -> type[BaseException] | None:
    """The built-in exception class of that name."""
    if not _BUILTIN_EXCEPTIONS:
        import builtins

        for key, value in vars(builtins).items():
            if isinstance(value, type) and issubclass(value, BaseException):
                _BUILTIN_EXCEPTIONS[key] = value
    return _BUILTIN_EXCEPTIONS.get(name)


def plain_arguments(error: BaseException) -> list[Any]:
    """The arguments of an exception that are data; the others as text."""
    found = []
    for argument in error.args:
        try:
            wire.encode(argument)
            found.append(argument)
        except (wire.CannotCross, ValueError):
            found.append(str(argument))
    return found


def containers(value: Any, found: list[Any] | None = None) -> list[Any]:
    """The mutable containers in arguments, outermost first, in an order that both sides share."""
    found = [] if found is None else found
    kind = type(value)
    if kind in (list, tuple):
        if kind is list:
            found.append(value)
        for item in value:
            if type(item) in (list, tuple, dict, set, bytearray):
                containers(item, found)
    elif kind is dict:
        found.append(value)
        for item in value.values():
            containers(item, found)
    elif kind in (set, bytearray):
        found.append(value)
    return found


def update(old: Any, new: Any) -> None:
    """Makes ``old`` equal to ``new`` in place, keeping the identity of containers that are in both."""
    if type(old) is list and type(new) is list:
        merged = [_merge(old[i] if i < len(old) else None, item) for i, item in enumerate(new)]
        old[:] = merged
    elif type(old) is dict and type(new) is dict:
        merged_items = {key: _merge(old.get(key), item) for key, item in new.items()}
        old.clear()
        old.update(merged_items)
    elif type(old) is set and type(new) is set:
        old.clear()
        old.update(new)
    elif type(old) is bytearray and type(new) is bytearray:
        old[:] = new


def _merge(old: Any, new: Any) -> Any:
    if type(old) is type(new) and type(new) in MUTABLE:
        update(old, new)
        return old
    return new


# What an operation on the other side's object may be; each name is that of the method which Python calls.
SPECIAL: dict[str, Callable[..., Any]] = {
    "__len__": len,
    "__iter__": iter,
    "__next__": next,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__contains__": operator.contains,
    "__bool__": bool,
    "__str__": str,
    "__repr__": repr,
    "__hash__": hash,
    "__eq__": operator.eq,
    "__ne__": operator.ne,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__add__": operator.add,
    "__sub__": operator.sub,
    "__mul__": operator.mul,
    "__matmul__": operator.matmul,
    "__truediv__": operator.truediv,
    "__floordiv__": operator.floordiv,
    "__mod__": operator.mod,
    "__pow__": operator.pow,
    "__and__": operator.and_,
    "__or__": operator.or_,
    "__xor__": operator.xor,
    "__neg__": operator.neg,
    "__pos__": operator.pos,
    "__abs__": abs,
    "__invert__": operator.invert,
    "__int__": int,
    "__float__": float,
    "__index__": operator.index,
    "__round__": round,
    "__reversed__": reversed,
    "__format__": format,
    "__enter__": lambda value: type(value).__enter__(value),
    "__exit__": lambda value, *rest: type(value).__exit__(value, *rest),
}
