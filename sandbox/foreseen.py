"""Which calls plain tests make whatever the answers are: the candidate makes them ahead, without a word in between.

Tests are mostly a row of ``assert candidate(<literal>) == <literal>``. Read from the top, in the order of evaluation,
each such call follows the one before unless the tests have ended by then. Reading stops at the first thing that could
depend on an answer, or reach the candidate in another way.
"""

import ast
import builtins
import marshal
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_PURE = {
    "abs", "all", "any", "bool", "bytes", "chr", "complex", "dict", "divmod", "enumerate", "float", "frozenset", "hex",
    "int", "isinstance", "len", "list", "max", "min", "oct", "ord", "pow", "range", "repr", "reversed", "round", "set",
    "sorted", "str", "sum", "tuple", "zip",
}  # fmt: skip
_MAX_BYTES = 1 << 18
_MAX_DIGITS = 4096  # bits, characters or items that an operation in a literal may give
_Call = tuple[int, list[Any], dict[str, Any]]


@dataclass(frozen=True)
class Foreseen:
    """``names``: what the tests take from the candidate's module. ``calls``: marshalled ``[(function, args, kwargs)]``.

    ``functions``: the function of each call, an index into ``names`` or -1 for the entry point. ``all``: the tests ask
    nothing else of the candidate. ``guarded``: line and column of assertions whose message would ask the candidate:
    only where they fail is one asked for, and only then the calls are not as foreseen.
    """

    names: tuple[str, ...]
    calls: bytes
    functions: tuple[int, ...]
    guarded: tuple[tuple[int, int], ...]
    all: bool


class _Stop(Exception):
    """Here something begins that cannot be foreseen."""


@lru_cache(maxsize=512)
def foresee(source: str, framework: str) -> Foreseen | None:
    """The calls that plain tests (``plain_tests.is_plain``) are sure to make, in order; None if there is none."""
    reader = _Reader(ast.parse(source), framework)
    if not reader.calls:
        return None
    try:
        calls = marshal.dumps(reader.calls)
    except ValueError:
        return None
    functions = tuple(function for function, _, _ in reader.calls)
    if len(calls) > _MAX_BYTES:
        return None
    return Foreseen(tuple(reader.names), calls, functions, tuple(reader.guarded), reader.all)


class _Reader:
    """Collects the calls of a module of tests."""

    def __init__(self, tree: ast.Module, framework: str) -> None:
        self.calls: list[_Call] = []
        self.all = False
        self.guarded: list[tuple[int, int]] = []
        self._entry = ""
        self._collect_names(tree)
        body = tree.body
        if framework == "check":
            found = self._check(tree)
            if found is None:
                return
            body, self._entry = found.body, found.args.args[0].arg
        try:
            for statement in body:
                self._statement(statement)
        except _Stop:
            return
        self.all = True

    def _collect_names(self, tree: ast.Module) -> None:
        read: set[str] = set()
        self._bound: set[str] = set()
        self._imported: set[str] = set()
        self._functions: set[str] = set()
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Load()):
                    read.add(name)
                case ast.Name(id=name) | ast.arg(arg=name):
                    self._bound.add(name)
                case ast.FunctionDef(name=name):
                    self._functions.add(name)
                case ast.alias(name=name, asname=other):
                    self._imported.add((other or name).partition(".")[0])
                case ast.ExceptHandler(name=str(name)):
                    self._bound.add(name)
        self._bound |= self._imported | self._functions
        self.names = sorted(name for name in read - self._bound if not hasattr(builtins, name))

    def _check(self, tree: ast.Module) -> ast.FunctionDef | None:
        """The function ``check``, if nothing else in the module does anything."""
        checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
        if len(checks) != 1 or not all(self._idle(node) for node in tree.body):
            return None
        args = checks[0].args
        plain = len(args.args) == 1 and not (args.posonlyargs or args.kwonlyargs or args.vararg or args.kwarg)
        return checks[0] if plain else None

    @staticmethod
    def _idle(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
                return True
            case ast.FunctionDef(decorator_list=[], args=args, returns=returns):
                every = [*args.args, *args.posonlyargs, *args.kwonlyargs, args.vararg, args.kwarg]
                shown = [returns, *(arg.annotation for arg in every if arg)]
                calls = any(isinstance(inner, ast.Call) for one in shown if one for inner in ast.walk(one))
                return not (args.defaults or args.kw_defaults or calls)
            case ast.Assign(targets=[ast.Name()], value=value):
                return not any(isinstance(inner, ast.Name | ast.Call) for inner in ast.walk(value))
        return False

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assert(test=test, msg=message):
                self._expression(test)
                if message is not None and self._reaches(message):
                    self.guarded.append((node.lineno, node.col_offset))
            case ast.Expr(value=value):
                self._expression(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name != self._entry:
                self._expression(value)
            case _ if not self._idle(node):
                raise _Stop

    def _reaches(self, node: ast.expr) -> bool:
        """Whether an expression could reach the candidate."""
        candidate = {self._entry, *self.names, *self._functions}
        return any(isinstance(inner, ast.Name) and inner.id in candidate for inner in ast.walk(node))

    def _expression(self, node: ast.expr | None) -> None:
        """Collects the calls of an expression that is evaluated, whatever the answers are."""
        match node:
            case None | ast.Constant():
                return
            case ast.Name(id=name):
                if self._reaches(node) or (name not in self._bound and name not in _PURE):
                    raise _Stop
            case ast.Call(func=function, args=args, keywords=keywords):
                self._call(function, args, keywords)
            case ast.Compare(left=left, comparators=[first, *rest]):
                self._in_order(left, first)
                self._only_perhaps(rest)
            case ast.BoolOp(values=[first, *rest]):
                self._in_order(first)
                self._only_perhaps(rest)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                self._in_order(test)
                self._only_perhaps([body, otherwise])
            case ast.UnaryOp(operand=operand):
                self._in_order(operand)
            case ast.BinOp(left=left, right=right):
                self._in_order(left, right)
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items) | ast.JoinedStr(values=items):
                self._in_order(*items)
            case ast.Dict(keys=keys, values=values):
                self._in_order(*(one for pair in zip(keys, values, strict=True) for one in pair))
            case ast.Subscript(value=value, slice=index):
                self._in_order(value, index)
            case ast.Slice(lower=lower, upper=upper, step=step):
                self._in_order(lower, upper, step)
            case ast.Starred(value=value) | ast.Attribute(value=value):
                self._in_order(value)
            case ast.FormattedValue(value=value, format_spec=spec):
                self._in_order(value, spec)
            case _:
                raise _Stop

    def _in_order(self, *nodes: ast.expr | None) -> None:
        for node in nodes:
            self._expression(node)

    def _only_perhaps(self, nodes: list[ast.expr]) -> None:
        """What is evaluated or not, depending on an answer, may not reach the candidate."""
        if any(self._reaches(node) for node in nodes):
            raise _Stop
        self._in_order(*nodes)

    def _call(self, function: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]) -> None:
        if isinstance(function, ast.Name):
            if function.id == self._entry or function.id in self.names:
                self._note(function.id, args, keywords)
                return
            known = function.id in self._imported or (function.id in _PURE and function.id not in self._bound)
            if not known:
                raise _Stop
        else:
            self._expression(function)
        self._in_order(*args, *(keyword.value for keyword in keywords))

    def _note(self, name: str, args: list[ast.expr], keywords: list[ast.keyword]) -> None:
        number = -1 if name == self._entry else self.names.index(name)
        try:
            named = {keyword.arg: _literal(keyword.value) for keyword in keywords if keyword.arg}
            values = [_literal(arg) for arg in args]
        except (TypeError, OverflowError):  # the tests themselves will raise it
            raise _Stop from None
        if len(named) < len(keywords):
            raise _Stop
        self.calls.append((number, values, named))


def _literal(node: ast.expr) -> Any:
    """The value of an expression of literals and a little arithmetic."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items):
            return [_literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_literal(item) for item in items)
        case ast.Set(elts=items):
            return {_literal(item) for item in items}
        case ast.Dict(keys=keys, values=values) if all(keys):
            pairs = zip(keys, values, strict=True)
            return {_literal(key): _literal(value) for key, value in pairs if key}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(_literal(operand))
        case ast.BinOp(left=left, op=operator, right=right):
            return _arithmetic(type(operator), _literal(left), _literal(right))
    raise _Stop


def _number(value: Any) -> Any:
    if type(value) not in (int, float, complex):
        raise _Stop
    return value


def _arithmetic(kind: type[ast.operator], left: Any, right: Any) -> Any:
    both = {type(left), type(right)}
    if kind is ast.Add and len(both) == 1 and both <= {str, list, tuple} and len(left) + len(right) <= _MAX_DIGITS:
        return left + right
    if kind is ast.Mult and type(left) in (str, list, tuple) and type(right) is int:
        if len(left) * right <= _MAX_DIGITS and not any(isinstance(item, list | dict | set) for item in left):
            return left * right
        raise _Stop
    left, right = _number(left), _number(right)
    if kind in (ast.Add, ast.Sub):
        return left + right if kind is ast.Add else left - right
    small = both != {int} or left.bit_length() + right.bit_length() <= _MAX_DIGITS
    if kind is ast.Mult and small:
        return left * right
    if kind is ast.Pow and both == {int} and right >= 0 and left.bit_length() * right <= _MAX_DIGITS:
        return left**right
    raise _Stop
