"""Mode ``unit`` on the candidate's side: loads the program as a module and does what the tests ask of it."""

import builtins
import contextlib
import io
import sys
import types
from typing import Any

from sandbox.guest import ahead, program, rpc, wire

_CALLABLES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def main(body: tuple[str, bytes, str | None, Any], channel: int) -> int:
    """Loads the module and serves the tests until they hang up.

    The descriptor after the channel takes the answers to calls that are made ahead.
    """
    name, source, entry_point, plan = body
    module = load(name, source)
    if isinstance(module, int):
        return module
    desk = Desk(module, entry_point, channel)
    if plan is not None and ahead.answer(desk, plan, channel + 1):
        return program.finish(0)
    server = desk.server()
    original = builtins.input

    def ask_tests(prompt: object = "") -> str:
        """A test may have replaced ``input``; if not, there is the empty standard input."""
        text = server.peer.request("input", str(prompt))
        return original(prompt) if text is None else text

    builtins.input = ask_tests
    with contextlib.suppress(rpc.Gone):
        server.peer.loop()
    return program.finish(0)


def load(name: str, source: bytes) -> types.ModuleType | int:
    """The loaded module; the exit code, if it did not come to its end."""
    path = f"/box/{name.replace('.', '/')}.py"
    module = program.fresh_module(name, path)
    code = program.compile_source(source, path)
    if code is None:
        return program.SYNTAX_EXIT
    failed = program.run_code(code, module)
    return module if failed is None else program.finish(failed)


class Desk:
    """Where the tests ask. Its server is hired when something is asked that takes one: most answers are plain data."""

    def __init__(self, module: types.ModuleType, entry_point: str | None, channel: int) -> None:
        self.names = names = module.__dict__
        self.entry = names.get(entry_point or "", _no_entry_point)
        self.module = module
        self.channel = channel
        self.paper = PAPER
        self.hired: Server | None = None

    def server(self) -> "Server":
        """The one server, and its end of the conversation."""
        if self.hired is None:
            self.hired = server = Server(self.module, self.entry)
            server.peer = peer = rpc.Peer(self.channel, server.serve, server)
            peer.on_call = server.call
        return self.hired


class _Callback:
    """Stands for an object of the tests; it can do what the tests let it."""

    def __init__(self, server: "Server", number: int) -> None:
        object.__setattr__(self, "_server", server)
        object.__setattr__(self, "_number", number)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._server.peer.request("call", self, list(args), kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._server.peer.request("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._server.peer.request("set", self, name, value)


def _special(name: str) -> Any:
    def method(self: _Callback, *args: Any) -> Any:
        return self._server.peer.request("do", self, name, list(args))

    return method


for _name in rpc.SPECIAL:
    if _name not in ("__hash__", "__bool__", "__repr__", "__enter__", "__exit__"):
        setattr(_Callback, _name, _special(_name))
_Callback.__hash__ = object.__hash__  # type: ignore[method-assign]  # defining __eq__ removed it


class Server(rpc.Hooks):
    """Carries out requests, and keeps the objects that the tests hold references to."""

    def __init__(self, module: types.ModuleType, entry: Any) -> None:
        self.peer: Any = None
        self.paper: Any = PAPER
        self.names = module.__dict__
        self.entry = entry
        self._objects: list[Any] = [module, self.entry]  # 0 and 1: the tests know these without asking
        self._numbers = {id(module): 0, id(self.entry): 1}

    @property
    def count(self) -> int:
        """How many objects the tests could refer to."""
        return len(self._objects)

    def serve(self, operation: str, arguments: list[Any]) -> Any:
        """One request of the tests."""
        return getattr(self, f"_do_{operation}")(*arguments)

    def call(self, number: int, args: list[Any]) -> str:
        """One call with scalars as arguments; the text of its answer."""
        try:
            value, printed = self.captured(self._objects[number], args, {})
            text = None if printed else wire.encode_scalars(rpc.VALUE, value)
            return text or wire.encode([rpc.ANSWER, [value, printed, None, None]], self.pack)
        except rpc.Gone:
            raise
        except BaseException as error:
            text = self.printed()
            if text:
                self.peer.request("print", text)
            return wire.encode([rpc.RAISED, self.describe(error)], self.pack)

    def _do_names(self) -> list[str]:
        return [name for name in self.names if not name.startswith("__")]

    def _do_get(self, owner: Any, name: str) -> Any:
        return getattr(owner, name)

    def _do_set(self, owner: Any, name: str, value: Any) -> None:
        setattr(owner, name, value)

    def _do_delete(self, owner: Any, name: str) -> None:
        delattr(owner, name)

    def _do_dir(self, owner: Any) -> list[str]:
        return dir(owner)

    def _do_isinstance(self, value: Any, kind: Any) -> bool:
        return isinstance(value, kind)

    def _do_issubclass(self, value: Any, kind: Any) -> bool:
        return issubclass(value, kind)

    def _do_special(self, name: str, owner: Any, args: list[Any]) -> Any:
        return self._printing(lambda: rpc.SPECIAL[name](owner, *args))

    def _do_await(self, coroutine: Any) -> Any:
        import asyncio

        async def waiting() -> Any:
            return await coroutine

        return self._printing(lambda: asyncio.run(waiting()))

    def _do_call(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        given = rpc.containers([args, kwargs])[1:]
        before = self.peer.text
        value, printed = self._printing(lambda: function(*args, **kwargs))
        changed = same = None
        if len(given) > 2:  # more than the two that hold the arguments
            after = wire.encode([args, kwargs], self.pack)
            if not before.endswith(after[1:].encode("ascii") + b"]"):
                changed = [args, kwargs]
            same = next((n for n, item in enumerate(given) if item is value), None)
        return [value if same is None else None, printed, changed, same]

    def _printing(self, action: Any) -> list[Any]:
        """The value of an action, and what it printed: a test may be capturing standard output."""
        outside, sys.stdout = sys.stdout, self.paper
        try:
            value = action()
        except BaseException:
            sys.stdout = outside
            text = self.printed()
            if text:
                self.peer.request("print", text)
            raise
        sys.stdout = outside
        return [value, self.printed()]

    def captured(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, str]:
        """The value of a call, and what it printed; after an exception ``printed`` still has that."""
        outside, sys.stdout = sys.stdout, self.paper
        try:
            value = function(*args, **kwargs)
        finally:
            sys.stdout = outside
        return value, self.printed()

    def printed(self) -> str:
        """What has been printed since the last time."""
        if self.paper.closed:
            self.paper = _paper()
        self.paper.flush()
        ink = self.paper.buffer
        if not ink.tell():
            return ""
        text = ink.getvalue().decode("utf-8", "replace")
        ink.seek(0)
        ink.truncate()
        return str(text)

    def pack(self, value: Any) -> Any:
        """A reference to an object of ours, or back to one of the tests'."""
        if isinstance(value, _Callback):
            return {"k": value._number}
        if type(value).__module__ == "numpy" and type(value).__name__ == "ndarray" and value.dtype.kind in "biufc":
            return {"n": [value.dtype.str, list(value.shape), value.tobytes().decode("latin-1")]}
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        kind, extra = self._kind(value)
        return {"r": [number, kind, getattr(value, "__name__", type(value).__name__), extra]}

    def _kind(self, value: Any) -> tuple[str, Any]:
        if isinstance(value, type):
            if issubclass(value, BaseException):
                bases = [b.__name__ if b.__module__ == "builtins" else self.pack(b) for b in value.__bases__]
                return "exception", bases
            return "class", None
        if isinstance(value, types.CoroutineType):
            return "coroutine", None
        if isinstance(value, BaseException):
            return "raised", wire.pack(self.describe(value), self.pack)
        if isinstance(value, _CALLABLES):
            return "function", None
        return "object", None

    def build(self, tag: str, body: Any) -> Any:
        """An object of ours that the tests hold, a stand-in for one of theirs, or one that both sides know by name."""
        if tag == "r":
            return self._objects[body]
        if tag == "k":
            return _Callback(self, body)
        if tag == "T":
            value: Any = __import__(body[0], fromlist=["_"])
            for part in body[1].split("."):
                value = getattr(value, part)
            return value
        if tag == "n":
            return array(body)
        raise ValueError(f"unknown tag {tag!r}")

    def describe(self, error: BaseException) -> Any:
        """An exception as data."""
        kind = type(error)
        attributes = {}
        for name, value in getattr(error, "__dict__", {}).items():
            try:
                wire.encode(value)
            except (wire.CannotCross, ValueError):
                continue
            if not name.startswith("_"):
                attributes[name] = value
        known = rpc.builtin_exception(kind.__name__) is kind
        return [kind.__name__, rpc.plain_arguments(error), None if known else kind, attributes]

    def exception(self, described: Any) -> BaseException:
        """The exception that something of the tests raised."""
        name, args, *_ = described
        return (rpc.builtin_exception(name) or RuntimeError)(*args)


def _paper() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", newline="\n", write_through=True)


PAPER = _paper()  # made before the job's fork


def _no_entry_point(*args: Any, **kwargs: Any) -> None:
    raise NameError("the program does not define the entry point")


def array(body: list[Any]) -> Any:
    """A numeric NumPy array from its type, shape and bytes."""
    import numpy

    return numpy.frombuffer(body[2].encode("latin-1"), numpy.dtype(body[0])).reshape(body[1]).copy()
