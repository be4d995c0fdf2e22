"""Mode ``call`` on the candidate's side: loads the program once, then answers one case at a time with data."""

import os
import sys
from collections.abc import Callable
from typing import Any

from sandbox.guest import leetcode, program, wire

LOADED = b"L"


def main(header: dict[str, Any], channel: int) -> int:
    """Serves calls until the driver hangs up. Requests: 4 bytes case number, 8 bytes nonce; answers: framed JSON."""
    module = program.fresh_module(header["module"], program.SOURCE)
    code = program.compile_source(header["source"], program.SOURCE)
    if code is None:
        return program.SYNTAX_EXIT
    if header["prelude"]:
        module.__dict__.update(leetcode.namespace())
    failed = program.run_code(code, module)
    if failed is not None:
        return program.finish(failed)
    os.write(channel, LOADED)
    while request := os.read(channel, 12):
        case = int.from_bytes(request[:4], "big")
        text = answer(header, module.__dict__, header["cases"][case])
        _flush()
        _send(channel, request[4:], text.encode("ascii"))
    return 0


def answer(header: dict[str, Any], names: dict[str, Any], case: bytes) -> str:
    """Calls the entry point; its result or exception as text."""
    args, kwargs = wire.decode(case)
    try:
        function = _find(header["entry_point"], names)
        args = _convert(header, names, function, args)
        value = function(*args, **kwargs)
    except SystemExit as error:
        return wire.encode(["raised", ["SystemExit"], str(error.code)])
    except BaseException as error:
        return wire.encode(["raised", [base.__name__ for base in type(error).__mro__], _text(error)])
    try:
        if header["compare"] is not None:
            value = args[header["compare"]]
        value = leetcode.flatten(value, header["return_type"] or "")
        return wire.encode(["returned", value], _arrays)
    except (wire.CannotCross, ValueError, IndexError) as error:
        return wire.encode(["odd", str(error)])


def _arrays(value: Any) -> Any:
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return wire.pack(value.tolist(), wire.refuse)
    return wire.refuse(value)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:1000]
    except Exception:
        return ""


def _find(entry_point: str, names: dict[str, Any]) -> Callable[..., Any]:
    first, *rest = entry_point.split(".")
    if first not in names:
        raise NameError(f"the program defines no {first!r}")
    found = names[first]
    for name in rest:
        # a fresh object for each case; static methods and class methods work as well
        found = getattr(found() if isinstance(found, type) else found, name)
    result: Callable[..., Any] = found
    return result


def _convert(header: dict[str, Any], names: dict[str, Any], function: Any, args: list[Any]) -> list[Any]:
    kinds = header["arg_types"]
    if kinds is None and header["prelude"]:
        annotations = getattr(function, "__annotations__", {})
        kinds = [_kind(annotation) for name, annotation in annotations.items() if name != "return"]
        kinds = kinds if len(kinds) == len(args) else None
    if not kinds:
        return args
    classes = {
        "ListNode": names.get("ListNode", leetcode.ListNode),
        "TreeNode": names.get("TreeNode", leetcode.TreeNode),
    }
    built = [leetcode.build(kind, value, classes) for kind, value in zip(kinds, args, strict=False)]
    return built + args[len(built) :]


def _kind(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in repr(annotation) else str(annotation)
    # Optional[x.ListNode] and typing.List[typing.Optional[...]] lose their module names
    return "".join(part.rsplit(".", 1)[-1] for part in _split(text))


def _split(text: str) -> list[str]:
    parts, word = [], ""
    for character in text:
        if character in "[], ":
            parts += [word, character]
            word = ""
        else:
            word += character
    return [*parts, word]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def _send(channel: int, nonce: bytes, text: bytes) -> None:
    data = memoryview(len(text).to_bytes(4, "big") + nonce + text)
    while data:
        data = data[os.write(channel, data) :]
