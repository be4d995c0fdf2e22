"""Calls that plain tests are sure to make are made ahead: which they are, and that no verdict hangs on it."""

import copy
import marshal
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.foreseen import foresee
from sandbox.plain_tests import is_plain


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as found:
        yield found


def _made(source: str, framework: str) -> list[tuple[str, list[Any], dict[str, Any]]]:
    """The calls that the tests really make of a candidate whose answer is never wrong."""
    made: list[tuple[str, list[Any], dict[str, Any]]] = []

    def named(name: str) -> Any:
        def answer(*args: Any, **kwargs: Any) -> Any:
            made.append((name, copy.deepcopy(list(args)), kwargs))
            return _Agreeable(1)

        return answer

    scope: dict[str, Any] = {"f": named("f"), "g": named("g")}
    exec(source, scope)
    if framework == "check":
        scope["check"](named(""))
    return made


class _Agreeable(int):
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


WHOLE = {
    "row": "assert f(1) == 2\nassert f([1, 'a', None]) == 2, 'text'\nassert f({'a': (1, 2)}, x={3}) == 1",
    "arithmetic": "assert f(3 * 19, -1, 2 ** 10, 'a' + 'b', [0] * 3, (1,) * 2, 1 - 2j) == 1",
    "inside": "import math\nassert abs(f(1) - 2) < 1e9 and True\nassert math.floor(f(2)) == 1\nassert not (f(3) != 1)",
    "order": "x = [f(1), f(2)]\nassert f(3) == x[0] or False\nassert {f(4): f(5)}\nassert f'{f(6)} {f(7)}'",
    "two functions": "assert f(1) == g(2)\nassert g(g=1) == 1",
    "message": "assert f(1) == 1, 'got ' + str(f(1))\nassert f(2) == 1",
    "condition": "assert (1 if f(1) else 2) == 1\nassert 0 < f(1) < 5",
    "definitions": "from collections import Counter\ndef helper(a: int) -> str: return 'x'\nassert Counter([f(1)])",
}
PART = {
    "loop": ("assert f(1) == 1\nfor i in range(3): assert f(i) == 1", 1),
    "variable": ("assert f(1) == 1\nx = 3\nassert f(x) == 1\nassert f(2) == 1", 1),
    "nested": ("assert f(3) == 1\nassert f(f(1)) == 1\nassert f(2) == 1", 1),
    "helper": ("def h(): return f(9)\nassert f(1) == 1\nassert h() == 1\nassert f(2) == 1", 1),
    "helper as a value": ("def h(x): return f(9)\nassert f(1) == 1\nassert max([1, 2], key=h)\nassert f(2) == 1", 1),
    "candidate as a value": ("assert f(1) == 1\nassert list(map(f, [5])) == [1]\nassert f(2) == 1", 1),
    "perhaps": ("assert f(1) == 1 or f(2) == 1\nassert f(3) == 1", 1),
    "chained": ("assert f(1) == 1 == f(2)\nassert f(3) == 1", 1),
    "lambda": ("assert f(1) == 1\nassert (lambda: f(2))() == 1\nassert f(3) == 1", 1),
    "comprehension": ("assert f(1) == 1\nassert [f(i) for i in range(2)]\nassert f(3) == 1", 1),
    "caught": ("assert f(1) == 1\ntry:\n    assert f(2) == 1\nexcept ValueError:\n    pass", 1),
    "unpacked": ("assert f(1) == 1\nassert f(*[2]) == 1\nassert f(**{'a': 1}) == 1", 1),
    "shadowed": ("def len(x): return f(x)\nassert f(1) == 1\nassert len('abc') == 1\nassert f(2) == 1", 1),
    "impossible literal": ("assert f(1) == 1\nassert f({1, 2}, 1.5 * 10 ** 400 if 0 else 1) == 1", 1),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("framework", ["asserts", "check"])
def test_a_row_of_calls_is_foreseen_as_a_whole(name: str, framework: str) -> None:
    source = _framed(WHOLE[name], framework)
    found = foresee(source, framework)
    assert found is not None
    assert found.all
    assert _calls(found) == _made(source, framework)


@pytest.mark.parametrize("name", PART)
@pytest.mark.parametrize("framework", ["asserts", "check"])
def test_what_could_depend_on_an_answer_is_not_foreseen(name: str, framework: str) -> None:
    body, count = PART[name]
    source = _framed(body, framework)
    found = foresee(source, framework)
    assert found is not None
    assert not found.all
    assert len(found.functions) == count
    assert _calls(found) == _made(source, framework)[:count]


@pytest.mark.parametrize(
    "source",
    [
        "def check(candidate):\n    candidate = len\n    assert candidate([1]) == 1",
        "def check(candidate):\n    pass",
        "f(1)\ndef check(candidate):\n    assert candidate(1) == 1",
        "X = f(1)\ndef check(candidate):\n    assert candidate(1) == 1",
        "def h(a=f(1)): pass\ndef check(candidate):\n    assert candidate(1) == 1",
        "def check(candidate):\n    assert candidate({[1]: 2}) == 1",
        "def check(candidate):\n    assert candidate(1.5 * 10 ** 400) == 1",
        "def check(candidate):\n    assert candidate('a' * 10 ** 9) == 1",
        "def check(candidate):\n    assert candidate(10 ** 10 ** 10) == 1",
        "def check(candidate, other=1):\n    for i in [1]: assert candidate(i) == 1",
    ],
)
def test_nothing_is_foreseen(source: str) -> None:
    assert foresee(source, "check") is None


def _framed(body: str, framework: str) -> str:
    if framework == "asserts":
        return body
    lines = body.replace("f(", "candidate(").replace("map(f,", "map(candidate,").split("\n")
    head = [line for line in lines if line.startswith(("def ", "import ", "from ")) and "candidate(" not in line]
    inner = ["    " + line for line in lines if line not in head]
    return "\n".join([*head, "def check(candidate):", *inner])


def _calls(found: Any) -> list[tuple[str, list[Any], dict[str, Any]]]:
    names = [*found.names, ""]
    return [(names[function], args, kwargs) for function, args, kwargs in marshal.loads(found.calls)]


LOOPS = "def f(x):\n    while x == 2: pass\n    return x"
DIES = "import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x"
EATS = "def f(x):\n    if x == 2: y = bytearray(1 << 30)\n    return x"
SHUTS = "import os\ndef f(x):\n    if x == 2: os.closerange(0, 100)\n    return x"
TEARS = "import os\ndef f(x):\n    if x == 2: os.ftruncate(5, 0)\n    return x"
FORGES = (
    "import os\ndef f(x):\n    if x == 1:\n        for n in range(3, 9):\n            try: os.write(n, b'\\0\\0\\0\\x10[1,[1,\"\",null,null]]')\n"
    "            except OSError: pass\n    return x"
)
COUNTS = "n = 0\ndef f(x):\n    global n\n    n += 1\n    return n"
LAZY = "def f(x):\n    return iter([x])"
TALKS = "def f(x):\n    print('hello', x)\n    if x == 3: raise KeyError('no')\n    return x"
OWN = "class Odd(Exception): pass\ndef f(x):\n    raise Odd('text')"
LARGE = "def f(x):\n    return 'a' * x"


@pytest.mark.parametrize(
    ("code", "tests", "verdict"),
    [
        (LOOPS, "assert f(1) == 7\nassert f(2) == 2", "wrong_answer"),
        (LOOPS, "assert f(1) == 1\nassert f(2) == 2", "time_limit"),
        (DIES, "assert f(1) == 7\nassert f(2) == 2", "wrong_answer"),
        (DIES, "assert f(1) == 1\nassert f(2) == 2", "runtime_error"),
        (EATS, "assert f(1) == 7\nassert f(2) == 2", "wrong_answer"),
        (EATS, "assert f(1) == 1\nassert f(2) == 2", "memory_limit"),
        (SHUTS, "assert f(1) == 1\nassert f(2) == 2\nassert f(3) == 3", "runtime_error"),
        (TEARS, "assert f(1) == 1\nassert f(2) == 7", "wrong_answer|runtime_error"),
        (FORGES, "assert f(1) == 2\nassert f(2) == 1", "wrong_answer|runtime_error"),
        (COUNTS, "assert f(0) == 1\nassert f(0) == 2, str(f(0))\nassert f(0) == 3", "accepted"),
        (COUNTS, "assert f(0) == 1\nassert f(0) == 7, str(f(0))", "wrong_answer"),
        (LAZY, "assert list(f(1)) == [1]\nassert list(f(2)) == [2]\nassert next(f(3)) == 3", "accepted"),
        (LAZY, "assert list(f(1)) == [1]\nassert list(f(2)) == [3]", "wrong_answer"),
        (TALKS, "assert f(1) == 1\nassert f(2) == 2", "accepted"),
        (TALKS, "assert f(1) == 1\nassert f(3) == 2", "runtime_error"),
        (OWN, "assert f(1) == 1\nassert f(2) == 2", "runtime_error"),
        (LARGE, "assert len(f(3)) == 3\nassert len(f(10 ** 6)) == 10 ** 6\nassert f(2) == 'aa'", "accepted"),
        (LARGE, "assert len(f(3)) == 3\nassert len(f(10 ** 6)) == 10 ** 6\nassert f(2) == 'ab'", "wrong_answer"),
        ("def f(x):\n    return g(x)", "assert f(1) == 1\nassert g(1) == 1", "runtime_error"),
        ("def f(x):\n    x.append(1)\n    return x", "assert f([]) == [1]\nassert f([2]) == [2, 1]", "accepted"),
        ("def f(x):\n    return input()", "assert f(1) == 1", "runtime_error"),
        ("f = len", "assert f('abc') == 3\nassert f([]) == 0", "accepted"),
        ("class f:\n    def __init__(self, x): self.x = x", "assert f(1).x == 1\nassert f(2).x == 2", "accepted"),
        ("class f(ValueError): pass", "assert str(f('a')) == 'a'\nassert str(f('b')) == 'b'", "accepted"),
        ("import atexit, time\natexit.register(time.sleep, 60)\ndef f(x): return x", "assert f(1) == 1", "accepted"),
    ],
)
def test_verdicts(sandbox: Sandbox, code: str, tests: str, verdict: str) -> None:
    assert is_plain(tests)
    limits = {"time_s": 0.5, "memory_mb": 128}
    result = sandbox.unit(code, tests, "asserts", limits=limits)
    assert result.verdict in verdict.split("|"), result.message
    inner = "\n".join("    " + line.replace("f(", "candidate(") for line in tests.split("\n"))
    if "g(" not in tests:
        result = sandbox.unit(code, f"def check(candidate):\n{inner}", "check", entry_point="f", limits=limits)
        assert result.verdict in verdict.split("|"), result.message


def test_what_was_printed_belongs_to_the_tests_up_to_the_failure(sandbox: Sandbox) -> None:
    result = sandbox.unit(TALKS, "assert f(1) == 1\nassert f(2) == 7\nassert f(4) == 4", "asserts")
    assert result.stdout == "hello 1\nhello 2\n"
    result = sandbox.unit(TALKS, "assert f(1) == 1\nassert f(3) == 7", "asserts")
    assert result.stdout == "hello 1\nhello 3\n"


def test_the_message_of_a_failed_assertion_may_ask_the_candidate(sandbox: Sandbox) -> None:
    result = sandbox.unit("def f(x): return x", "assert f(1) == 1\nassert f(2) == 3, f'got {f(2)}'", "asserts")
    assert (result.verdict, result.message) == ("wrong_answer", "asserts: line 2: AssertionError: got 2")


def test_much_output_is_cut_and_said(sandbox: Sandbox) -> None:
    code = "def f(x):\n    print('y' * x)\n    return x"
    result = sandbox.unit(code, "assert f(3) == 3\nassert f(50000) == 50000", "asserts", limits={"output_kb": 16})
    assert result.verdict == "output_limit"
    assert len(result.stdout) == 16384
    assert sandbox.unit(code, "assert f(3) == 3", "asserts").stdout == "yyy\n"
