"""Mode ``call``: typed arguments and results, compared outside the candidate."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import InvalidJob, Sandbox
from sandbox.equality import difference
from sandbox.guest import wire
from sandbox.literals import literal

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
hashable = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4), max_leaves=6)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.tuples(inner)
        | st.sets(hashable, max_size=4)
    ),
    max_leaves=12,
)


def written(value: Any) -> str:
    """A text that is the same for values of equal types and contents, whatever the order of sets and however nan compares."""
    kind = type(value).__name__
    if isinstance(value, set | frozenset):
        return f"{kind}({sorted(map(written, value))})"
    if isinstance(value, dict):
        return f"{kind}({[(written(k), written(v)) for k, v in value.items()]})"
    if isinstance(value, list | tuple):
        return f"{kind}({list(map(written, value))})"
    return f"{kind}({value!r})"


@settings(max_examples=300, deadline=None)
@given(values)
def test_every_value_survives_the_crossing(value: Any) -> None:
    assert written(wire.decode(wire.encode(value))) == written(value)


@settings(max_examples=300, deadline=None)
@given(
    st.text()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_reading_rubbish_raises_only_value_error(rubbish: Any) -> None:
    import json

    text = rubbish if isinstance(rubbish, str) else json.dumps(rubbish)
    with contextlib.suppress(ValueError):
        wire.decode(text)


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), [1, 10**6000], {"a": (1, {2}, [b"x", None])}, range(3), ...],
    ids=["huge", "negative", "in a list", "nested", "range", "ellipsis"],
)
def test_unusual_values_survive(value: Any) -> None:
    assert wire.decode(wire.encode(value)) == value


def test_subclasses_cross_as_the_value_they_hold() -> None:
    class Text(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

        def __str__(self) -> str:
            return "a lie"

    class Items(list[int]):
        def __iter__(self) -> Iterator[int]:
            return iter([9, 9])

    back = wire.decode(wire.encode([Text("x"), Items([1, 2])]))
    assert [type(item) for item in back] == [str, list]
    assert back[0] == "x"
    assert back[1] == [1, 2]


def test_objects_do_not_cross() -> None:
    with pytest.raises(wire.CannotCross):
        wire.encode(object())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1, {2}, [3.5], {'a': None})", (1, {2}, [3.5], {"a": None})),
        ("set()", set()),
        ("frozenset({1})", frozenset({1})),
        ("-3", -3),
        ("1+2j", 1 + 2j),
        ("float('-inf')", -math.inf),
        ("b'x'", b"x"),
        ("[inf, -inf]", [math.inf, -math.inf]),
    ],
)
def test_literals(text: str, value: Any) -> None:
    assert literal(text, "x") == value


@pytest.mark.parametrize(
    "text", ["__import__('os')", "open('/etc/passwd')", "x", "[i for i in [1]]", "f()", "(", "(" * 500, "1/0"]
)
def test_what_is_no_literal(text: str) -> None:
    with pytest.raises(InvalidJob, match=r"some\.field"):
        literal(text, "some.field")


@pytest.mark.parametrize(
    ("got", "expected", "json", "equal"),
    [
        ((1, 2), [1, 2], True, True),
        ((1, 2), [1, 2], False, False),
        ([[1], (2,)], [[1], [2]], True, True),
        (math.nan, math.nan, False, True),
        ([math.nan], [math.nan], False, True),
        (1, 1.0, True, True),
        (True, 1, True, True),
        ("1", 1, True, False),
        ({1: [2]}, {1: [2]}, False, True),
        ({1, 2}, {2, 1}, False, True),
        ([1, 2], [1, 2, 3], True, False),
        (None, [], True, False),
        (0.1 + 0.2, 0.3, True, False),
    ],
)
def test_equality(got: Any, expected: Any, json: bool, equal: bool) -> None:
    assert (difference(got, expected, json=json, absolute=None, relative=None) == "") is equal


@pytest.mark.parametrize(
    ("got", "expected", "equal"),
    [
        (0.1 + 0.2, 0.3, True),
        ([1.0000001], [1], True),
        (1.1, 1.0, False),
        ("1.0", 1.0, False),
        (True, 1.0000001, False),
    ],
)
def test_tolerance(got: Any, expected: Any, equal: bool) -> None:
    assert (difference(got, expected, json=True, absolute=1e-6, relative=1e-6) == "") is equal


def test_rich_arguments_and_results(sandbox: Sandbox) -> None:
    code = "def f(x, *, y=None):\n    return type(x).__name__, x, y"
    cases = [
        {"args_py": "[{1, 2}]", "expected_py": "('set', {1, 2}, None)"},
        {"args_py": "[(1, b'x')]", "kwargs": {"y": [1]}, "expected_py": "('tuple', (1, b'x'), [1])"},
        {"args_py": "[float('nan')]", "expected_py": "('float', nan, None)"},
        {"args": [{"a": [1, None, 2.5, "ü"]}], "expected_py": "('dict', {'a': [1, None, 2.5, 'ü']}, None)"},
    ]
    result = sandbox.call(code, "f", cases)
    assert result.verdict == "accepted", result.message


def test_big_integers(sandbox: Sandbox) -> None:
    result = sandbox.call("def f(n): return 7 ** n", "f", [{"args": [9000], "expected_py": str(7**4000)}])
    assert result.verdict == "wrong_answer"
    assert (
        sandbox.call("def f(n): return 7 ** n", "f", [{"args": [4000], "expected_py": str(7**4000)}]).verdict
        == "accepted"
    )


def test_fresh_object_for_each_case(sandbox: Sandbox) -> None:
    code = "class Solution:\n    def __init__(self): self.n = 0\n    def f(self):\n        self.n += 1\n        return self.n"
    assert sandbox.call(code, "Solution.f", [{"expected": 1}] * 3).verdict == "accepted"


def test_static_and_class_methods(sandbox: Sandbox) -> None:
    code = (
        "class S:\n    @staticmethod\n    def a(x): return x\n    @classmethod\n    def b(cls, x): return cls.__name__"
    )
    assert sandbox.call(code, "S.a", [{"args": [1], "expected": 1}]).verdict == "accepted"
    assert sandbox.call(code, "S.b", [{"args": [1], "expected": "S"}]).verdict == "accepted"


def test_expected_exception(sandbox: Sandbox) -> None:
    code = "class Mine(ValueError): pass\ndef f(x):\n    if x: raise Mine(x)\n    return 0"
    result = sandbox.call(
        code, "f", [{"args": [1], "expected_exception": name} for name in ("Mine", "ValueError", "KeyError")]
    )
    assert [case.verdict for case in result.cases] == ["accepted", "accepted", "runtime_error"]
    assert sandbox.call(code, "f", [{"args": [0], "expected_exception": "Mine"}]).verdict == "wrong_answer"


def test_changed_argument_is_compared(sandbox: Sandbox) -> None:
    code = "class Solution:\n    def rotate(self, m):\n        m[:] = [list(r)[::-1] for r in zip(*m)]"
    cases = [{"args": [[[1, 2], [3, 4]]], "expected": [[3, 1], [4, 2]]}]
    assert sandbox.call(code, "Solution.rotate", cases, options={"compare": "args[0]"}).verdict == "accepted"


NODES = """
class Solution:
    def reverse(self, head: Optional[ListNode]) -> Optional[ListNode]:
        before = None
        while head:
            head.next, before, head = before, head, head.next
        return before
    def merge(self, lists: List[Optional[ListNode]]) -> Optional[ListNode]:
        values = []
        for node in lists:
            while node:
                values.append(node.val)
                node = node.next
        head = tail = ListNode()
        for value in sorted(values):
            tail.next = tail = ListNode(value)
        return head.next
    def invert(self, root: Optional[TreeNode]) -> Optional[TreeNode]:
        if root:
            root.left, root.right = self.invert(root.right), self.invert(root.left)
        return root
    def depth(self, root: Optional[TreeNode]) -> int:
        return 0 if not root else 1 + max(self.depth(root.left), self.depth(root.right))
    def leaves(self, root: Optional[TreeNode]) -> List[TreeNode]:
        return [] if not root else [root.left, root.right]
"""


@pytest.mark.parametrize(
    ("method", "args", "expected"),
    [
        ("reverse", [[1, 2, 3]], [3, 2, 1]),
        ("reverse", [[]], []),
        ("merge", [[[1, 4], [], [2]]], [1, 2, 4]),
        ("invert", [[4, 2, 7, 1, None, None, 9]], [4, 7, 2, 9, None, None, 1]),
        ("invert", [[]], []),
        ("depth", [[3, 9, 20, None, None, 15, 7]], 3),
        ("leaves", [[1, 2, 3]], [[2], [3]]),
    ],
)
@pytest.mark.parametrize("typed", [False, True])
def test_leetcode_nodes(sandbox: Sandbox, method: str, args: list[Any], expected: Any, typed: bool) -> None:
    kinds = {"merge": "list[ListNode]", "reverse": "ListNode"}
    returns = {"merge": "ListNode", "reverse": "ListNode", "invert": "TreeNode"}
    options: dict[str, Any] = {"prelude": "leetcode"}
    if typed or expected == []:
        options |= {"arg_types": [kinds.get(method, "TreeNode")], "return_type": returns.get(method)}
    result = sandbox.call(NODES, f"Solution.{method}", [{"args": args, "expected": expected}], options=options)
    assert result.verdict == "accepted", result.message


def test_leetcode_names_need_no_import(sandbox: Sandbox) -> None:
    code = "def f(xs: List[int]) -> int:\n    return heapq.nlargest(1, Counter(xs))[0] + gcd(4, 6) + bisect_left([1, 2], 2)"
    assert (
        sandbox.call(code, "f", [{"args": [[5]], "expected": 8}], options={"prelude": "leetcode"}).verdict == "accepted"
    )
    assert sandbox.call(code, "f", [{"args": [[5]], "expected": 8}]).verdict == "runtime_error"


def test_cyclic_list_is_no_answer(sandbox: Sandbox) -> None:
    code = "def f(head):\n    head.next = head\n    return head"
    options = {"prelude": "leetcode", "arg_types": ["ListNode"]}
    result = sandbox.call(code, "f", [{"args": [[1]], "expected": [1]}], options=options, limits={"time_s": 5})
    assert result.verdict in ("wrong_answer", "memory_limit")


def test_cases_go_on_after_one_that_ended_the_process(sandbox: Sandbox) -> None:
    code = "import os\ndef f(x):\n    if x == 1: os._exit(9)\n    while x == 2: pass\n    if x == 3: a = b'x' * (1 << 30)\n    return x"
    cases = [{"args": [x], "expected": x} for x in range(5)]
    result = sandbox.call(code, "f", cases, limits={"time_s": 0.5, "memory_mb": 64})
    verdicts = ["accepted", "runtime_error", "time_limit", "memory_limit", "accepted"]
    assert [case.verdict for case in result.cases] == verdicts
    assert result.verdict == "runtime_error"
    assert result.exit_code == 9


def test_program_that_does_not_load_is_judged_once(sandbox: Sandbox) -> None:
    result = sandbox.call("raise ValueError('x')", "f", [{"args": [], "expected": 1}] * 50)
    assert (result.verdict, len(result.cases)) == ("runtime_error", 1)
    assert sandbox.call("def f(:", "f", [{"expected": 1}]).verdict == "compile_error"
    assert sandbox.call("x = 1", "f", [{"expected": 1}]).verdict == "runtime_error"


def test_prints_do_not_disturb(sandbox: Sandbox) -> None:
    result = sandbox.call("def f(x):\n    print('noise', x)\n    return x", "f", [{"args": [1], "expected": 1}])
    assert (result.verdict, result.stdout) == ("accepted", "noise 1\n")


@pytest.mark.parametrize("entry_point", ["", "1f", "a b", "a.", "f()"])
def test_malformed_entry_point_is_refused(sandbox: Sandbox, entry_point: str) -> None:
    result = sandbox.call("def f(): pass", entry_point, [{"expected": 1}])
    assert result.verdict == "refused"
    assert "entry_point" in result.message


def test_a_thousand_cases_in_one_process(sandbox: Sandbox) -> None:
    cases = [{"args": [n], "expected": n * n} for n in range(1000)]
    result = sandbox.call("def f(n): return n * n", "f", cases)
    assert (result.verdict, len(result.cases)) == ("accepted", 1000)
