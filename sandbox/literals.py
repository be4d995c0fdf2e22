"""Python literals as data: what ``ast.literal_eval`` reads, and nan, inf, empty sets and the like."""

import ast
from typing import Any

from sandbox.errors import InvalidJob

_NAMES = {"nan": float("nan"), "inf": float("inf"), "NaN": float("nan"), "Infinity": float("inf")}
_CALLS: dict[str, Any] = {
    "set": set,
    "frozenset": frozenset,
    "float": float,
    "complex": complex,
    "bytearray": bytearray,
    "tuple": tuple,
    "list": list,
    "dict": dict,
    "range": range,
}


def literal(text: str, field: str) -> Any:
    """The value of a literal expression.

    Raises:
        InvalidJob: It is none; the message names ``field``.
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError, OverflowError) as error:
        raise InvalidJob(f"{field}: {text[:80]!r} is no Python literal ({error})") from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values):
            return {_value(_present(k)): _value(v) for k, v in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return +_number(operand)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=ast.Constant(value=complex() as imaginary)):
            return _number(left) + imaginary if isinstance(op, ast.Add) else _number(left) - imaginary
        case ast.Name(id=name):
            return _NAMES[name]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _CALLS[name](*(_value(arg) for arg in args))
    raise ValueError(f"{type(node).__name__} is not allowed")


def _present(node: ast.expr | None) -> ast.expr:
    if node is None:
        raise ValueError("** is not allowed")
    return node


def _number(node: ast.expr) -> Any:
    value = _value(node)
    if not isinstance(value, int | float | complex):
        raise ValueError("a sign needs a number")
    return value
