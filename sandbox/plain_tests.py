"""Which tests are plain: they leave nothing behind in their interpreter, so it may take the next ones.

An allow-list over the syntax tree. Whatever it does not know is not plain and gets a process of its own; nothing else
depends on it.
"""

import ast
import sys
from functools import lru_cache

_MODULES = {
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "random", "string", "typing",
}  # fmt: skip
_NAMES = {
    "__import__", "breakpoint", "compile", "copyright", "credits", "delattr", "dir", "eval", "exec", "exit", "getattr",
    "globals", "help", "input", "license", "locals", "memoryview", "object", "open", "quit", "setattr", "super",
    "type", "vars",
}  # fmt: skip
_ATTRIBUTES = {
    "Formatter", "ForwardRef", "Template", "cr_frame", "dispatch_table", "f_builtins", "f_globals", "format",
    "format_map", "get_type_hints", "gi_frame", "register", "singledispatch", "singledispatchmethod", "tb_frame",
}  # fmt: skip
_INNER = sys.stdlib_module_names - _MODULES - {"abc"}
"""Modules import others, and hold them under their names: ``typing.sys.modules`` is everybody's."""
_MAX_SOURCE = 64 << 10
_REFUSED_NODES = (
    ast.AsyncFunctionDef,
    ast.AsyncFor,
    ast.AsyncWith,
    ast.Await,
    ast.Nonlocal,
    ast.Delete,
    ast.ClassDef,
    ast.Match,
)


@lru_cache(maxsize=512)
def is_plain(source: str) -> bool:
    """Whether the tests consist of assertions, calls and arithmetic over a few pure modules."""
    if len(source) > _MAX_SOURCE:
        return False
    try:
        tree = ast.parse(source)
        return all(_plain(node) for node in ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _plain(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return all(alias.name in _MODULES and _fair(alias.asname or "x") for alias in names)
        case ast.ImportFrom(module=module, names=names, level=0):
            return module in _MODULES and all(_shared(alias.name) and _fair(alias.asname or "x") for alias in names)
        case ast.ImportFrom():
            return False
        case ast.Name(id=name, ctx=context):
            metadata = isinstance(context, ast.Store) and name.startswith("METADATA")
            return metadata or (_fair(name) and name not in _NAMES)
        case ast.Attribute(attr=name, ctx=context):
            return isinstance(context, ast.Load) and _shared(name)
        case ast.FunctionDef(name=name) | ast.arg(arg=name):
            return _fair(name) and name not in _NAMES
    return not isinstance(node, _REFUSED_NODES)


def _fair(name: str) -> bool:
    return not name.startswith("__")


def _shared(name: str) -> bool:
    """Whether what has this name in a module or an object is nothing that a later set of tests could find changed."""
    return not name.startswith("_") and name != "*" and name not in _ATTRIBUTES and name not in _INNER
