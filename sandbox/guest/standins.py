"""Mode ``unit`` on the tests' side: stand-ins for the candidate's objects, and what it may do with the tests'.

An object of the candidate that is no plain data is never equal to a value of the tests and cannot be compared with or
subtracted from one: its own idea of equality must not decide a test. Two objects of the candidate are compared by the
candidate.
"""

import sys
import types
from collections.abc import Iterator
from typing import Any

from sandbox.guest import rpc, wire

_WITH_PLAIN = {
    "add",
    "radd",
    "mul",
    "rmul",
    "matmul",
    "rmatmul",
    "pow",
}  # an operand tells nothing about what is expected
_NAMES = ("__name__", "__qualname__", "__doc__")  # what functools.wraps copies
_ENDINGS = (StopIteration, StopAsyncIteration, GeneratorExit)


class Standin:
    """An object of the candidate. Attributes, calls, items, iteration and the like are asked of the candidate."""

    def __init__(self, link: "Link", number: int, kind: str, name: str) -> None:
        object.__setattr__(self, "_standin", (link, number, kind, name))

    def __getattr__(self, name: str) -> Any:
        return self._standin[0].peer.request("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._standin[0].peer.request("set", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._standin[0].peer.request("delete", self, name)

    def __dir__(self) -> list[str]:
        return list(self._standin[0].peer.request("dir", self))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls it."""
        return self._standin[0].call(self, args, kwargs)

    def __instancecheck__(self, value: Any) -> bool:
        if not isinstance(value, Standin):
            return False
        return bool(self._standin[0].peer.request("isinstance", value, self))

    def __subclasscheck__(self, value: Any) -> bool:
        return isinstance(value, Standin) and bool(self._standin[0].peer.request("issubclass", value, self))


def _special(name: str, plain: bool) -> Any:
    def method(self: Standin, *args: Any) -> Any:
        if not plain and not all(isinstance(arg, Standin) for arg in args):
            return NotImplemented
        return self._standin[0].special(name, self, args)

    method.__name__ = name
    return method


def _reflected(name: str) -> Any:
    def method(self: Standin, other: Any) -> Any:
        return self._standin[0].special(name, other, (self,))

    return method


def _equip() -> None:
    arithmetic = ["add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"]
    comparisons = ["eq", "ne", "lt", "le", "gt", "ge"]
    for name in rpc.SPECIAL:
        bare = name.strip("_")
        setattr(Standin, name, _special(name, bare not in arithmetic + comparisons or bare in _WITH_PLAIN))
    for bare in arithmetic:
        if f"r{bare}" in _WITH_PLAIN:
            setattr(Standin, f"__r{bare}__", _reflected(f"__{bare}__"))


_equip()


class Link(rpc.Hooks):
    """The tests' end: builds stand-ins, and lends objects of the tests to the candidate as narrowly as can be."""

    def __init__(self, test_module: str) -> None:
        self.peer: Any = None
        self.ahead: Any = None
        self._test_module = test_module
        self._lent: list[Any] = []
        self._classes: dict[int, type[BaseException]] = {}
        self._numbers: dict[type[BaseException], int] = {}
        self._standins: dict[int, Standin] = {}

    def call(self, function: Standin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a function of the candidate; arguments that it changed are changed here."""
        message = self.ahead.next(function) if self.ahead is not None else None
        match message:
            case [1, [value, "", None, None]]:  # as most are
                return value
        try:
            answer = self._answer(message, function, args, kwargs)
            (value, changed, same), printed = self._unpack_call(answer)
        except _ENDINGS as error:
            # let through, it would silently end a loop of the tests
            raise RuntimeError(f"the candidate raised {type(error).__name__}") from error
        _show(printed)
        given = rpc.containers([list(args), kwargs])[1:] if changed is not None or same is not None else []
        if same is not None:
            value = given[same]
        if changed is not None:
            for old, new in zip(args, changed[0], strict=True):
                rpc.update(old, new)
            rpc.update(kwargs, changed[1])
        return value

    def _answer(self, message: Any, function: Standin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        match message:
            case None:
                text = None if kwargs else wire.encode_scalars(rpc.CALL, function._standin[1], *args)
                return self.peer.ask(text) if text else self.peer.request("call", function, list(args), kwargs)
            case [1, answer]:
                return answer
            case [2, raised, str(printed)]:
                _show(printed)
                raise self.exception(raised)
        raise rpc.Gone("the candidate broke the protocol")

    @staticmethod
    def _unpack_call(answer: Any) -> tuple[tuple[Any, Any, Any], str]:
        match answer:
            case [value, str(printed), None | [list(), dict()] as changed, None | int() as same]:
                return (value, changed, same), printed
        raise rpc.Gone("the candidate broke the protocol")

    def special(self, name: str, owner: Any, args: tuple[Any, ...]) -> Any:
        """One of Python's special methods, carried out by the candidate."""
        value, printed = self.peer.request("special", name, owner, list(args))
        _show(printed)
        if name in ("__eq__", "__ne__", "__bool__", "__contains__"):
            return value if isinstance(value, bool) else bool(value)
        return value

    def serve(self, operation: str, arguments: list[Any]) -> Any:
        """One request of the candidate."""
        if operation == "print":
            return _show(arguments[0])
        if operation == "input":
            return self._input(arguments[0])
        owner, *rest = arguments
        if not any(owner is lent for lent in self._lent):
            raise PermissionError("no such object was passed to the candidate")
        if operation == "call" and callable(owner) and not self._is_instance_of_tests(owner, "__call__"):
            return owner(*rest[0], **rest[1])
        name = rest[0]
        if operation == "get" and name in _NAMES:
            return getattr(owner, name)
        if operation == "do" and name in rpc.SPECIAL:
            return rpc.SPECIAL[name](owner, *rest[1])
        if self._opens_attributes(owner) and isinstance(name, str) and not name.startswith("_"):
            if operation == "get":
                return getattr(owner, name)
            if operation == "set":
                return setattr(owner, name, rest[1])
        raise AttributeError(f"the candidate may not {operation} {name!r} of an object of the tests")

    @staticmethod
    def _is_instance_of_tests(value: Any, method: str) -> bool:
        return not isinstance(value, type) and not hasattr(type(value), method)

    def _opens_attributes(self, value: Any) -> bool:
        kind = type(value)
        unittest = sys.modules.get("unittest")
        if unittest is not None and isinstance(value, unittest.TestCase):
            return False
        return kind.__module__ in (self._test_module, "_io", "unittest.mock") or isinstance(
            value, types.SimpleNamespace
        )

    @staticmethod
    def _input(prompt: str) -> Any:
        import builtins

        replaced = not isinstance(builtins.input, types.BuiltinFunctionType)
        return builtins.input(prompt) if replaced or sys.stdin is not sys.__stdin__ else None

    def pack(self, value: Any) -> Any:
        """Refers to an object of the candidate, names one that both sides know, or lends one of the tests."""
        if isinstance(value, Standin):
            return {"r": value._standin[1]}
        if isinstance(value, type) and value in self._numbers:
            return {"r": self._numbers[value]}
        if type(value).__module__ == "numpy" and type(value).__name__ == "ndarray" and value.dtype.kind in "biufc":
            return {"n": [value.dtype.str, list(value.shape), value.tobytes().decode("latin-1")]}
        name = self._shared_name(value)
        if name:
            return {"T": name}
        lendable = (types.FunctionType, types.MethodType, types.BuiltinMethodType, types.GeneratorType, Iterator)
        if isinstance(value, lendable) or self._opens_attributes(value) or type(value).__module__ == "functools":
            for number, lent in enumerate(self._lent):
                if lent is value:
                    return {"k": number}
            self._lent.append(value)
            return {"k": len(self._lent) - 1}
        kind = type(value)
        raise TypeError(f"a {kind.__module__}.{kind.__qualname__} of the tests cannot be passed to the candidate")

    @staticmethod
    def _shared_name(value: Any) -> list[str] | None:
        """Module and name of a class or function of the standard library."""
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType) or not isinstance(module, str):
            return None
        if not isinstance(name, str) or module.split(".")[0] not in sys.stdlib_module_names | {"numpy"}:
            return None
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        return [module, name] if found is value else None

    def build(self, tag: str, body: Any) -> Any:
        """What a tag of the candidate stands for."""
        if tag == "k":
            return self._lent[body]
        if tag == "n":
            return _array(body)
        if tag != "r":
            raise ValueError(f"unknown tag {tag!r}")
        number, kind, name, extra = body
        if not isinstance(number, int) or not isinstance(name, str):
            raise ValueError("malformed reference")
        if kind == "exception":
            return self._mirror(number, name, extra)
        if kind == "raised":
            return self.exception(extra)
        if number not in self._standins:
            self._standins[number] = Standin(self, number, kind, name)
        standin = self._standins[number]
        return _waiting(self, standin) if kind == "coroutine" else standin

    def _mirror(self, number: int, name: str, bases: list[Any]) -> type[BaseException]:
        """A local class for an exception class of the candidate, so that ``except`` and ``raises`` work."""
        if number not in self._classes:
            parents = tuple(
                rpc.builtin_exception(base) or Exception if isinstance(base, str) else base for base in bases
            )
            mirrored = type(name, parents, {"__module__": "candidate"})
            self._classes[number] = mirrored
            self._numbers[mirrored] = number
        return self._classes[number]

    def describe(self, error: BaseException) -> Any:
        """What the candidate learns of an exception in the tests' code: never what an assertion says."""
        kind = type(error)
        known = rpc.builtin_exception(kind.__name__) is kind and not isinstance(error, AssertionError)
        return [kind.__name__, rpc.plain_arguments(error) if known else []]

    def exception(self, described: Any) -> BaseException:
        """The exception that the candidate raised."""
        match described:
            case [str(name), list(args), None | type() as kind, dict(attributes)]:
                made: type[BaseException] = kind or rpc.builtin_exception(name) or RuntimeError
                error: BaseException = made.__new__(made, *args)
                error.args = tuple(args)
                for key, value in attributes.items():
                    if isinstance(key, str) and not key.startswith("_"):
                        setattr(error, key, value)
                return error
        return rpc.Gone("the candidate broke the protocol")


async def _waiting(link: Link, coroutine: Standin) -> Any:
    value, printed = link.peer.request("await", coroutine)
    _show(printed)
    return value


def _array(body: list[Any]) -> Any:
    import numpy

    kind = numpy.dtype(body[0])
    if kind.kind not in "biufc":
        raise ValueError("only numbers cross as an array")
    return numpy.frombuffer(body[2].encode("latin-1"), kind).reshape(body[1]).copy()


def _show(text: Any) -> None:
    if text:
        sys.stdout.write(str(text))
