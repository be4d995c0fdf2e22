"""Mode ``unit``: what honest tests need crosses between the two processes; what does not, fails with a clear error."""

import pytest

from sandbox import Sandbox
from sandbox.guest import rpc

# name: (candidate, asserts that hold)
HONEST = {
    "constants": (
        "LIMIT = 5\nNAMES = ('a', 'b')",
        "import solution\nassert solution.LIMIT == 5 and solution.NAMES == ('a', 'b')",
    ),
    "from_import_star": ("def f(): return 1\nX = 2", "from solution import *\nassert f() + X == 3"),
    "names_of_the_same_namespace": (
        "def helper(x): return x + 1\ndef f(x): return helper(x)",
        "assert f(1) == helper(1) == 2",
    ),
    "changed_list": ("def f(xs): xs.append(9)", "xs = [1]\nf(xs)\nassert xs == [1, 9]"),
    "changed_deep": (
        "def f(d):\n    d['a'][0].append(1)\n    d['b'] = {2}",
        "inner = []\nd = {'a': [inner]}\nf(d)\nassert inner == [1] and d == {'a': [[1]], 'b': {2}}",
    ),
    "changed_keyword": ("def f(*, out): out.update(x=1)", "out = {}\nf(out=out)\nassert out == {'x': 1}"),
    "argument_untouched": ("def f(xs): return sorted(xs)", "xs = [3, 1]\nassert f(xs) == [1, 3] and xs == [3, 1]"),
    "identity_of_the_argument": ("def f(xs): return xs", "xs = [1]\nassert f(xs) is xs"),
    "callback": ("def apply(g, x): return g(g(x))", "assert apply(lambda v: v * 3, 2) == 18"),
    "callback_that_raises": (
        "def safe(g):\n    try:\n        return g()\n    except KeyError as e:\n        return ('caught', e.args[0])",
        "def g():\n    raise KeyError('k')\nassert safe(g) == ('caught', 'k')",
    ),
    "callback_state": (
        "def twice(g):\n    g()\n    g()",
        "calls = []\ntwice(lambda: calls.append(1))\nassert calls == [1, 1]",
    ),
    "built_in_as_argument": (
        "def f(g, xs): return g(xs)",
        "assert f(max, [1, 3]) == 3 and f(sorted, [2, 1]) == [1, 2]",
    ),
    "type_as_argument": ("def f(t, x): return isinstance(x, t)", "assert f(int, 3) and not f(str, 3)"),
    "key_function": ("def f(xs, key): return sorted(xs, key=key)", "assert f([-3, 2], abs) == [2, -3]"),
    "generator": (
        "def f(n):\n    for i in range(n):\n        yield i",
        "assert list(f(3)) == [0, 1, 2]\nassert next(f(1)) == 0",
    ),
    "infinite_generator": (
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "g = f()\nassert [next(g) for _ in range(3)] == [0, 1, 2]",
    ),
    "iterator_as_argument": ("def f(it): return sum(it)", "assert f(iter([1, 2])) == 3\nassert f(x for x in [3]) == 3"),
    "closure_returned": ("def adder(n): return lambda x: x + n", "assert adder(2)(3) == 5"),
    "decorator": (
        "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def w(*a): return g(*a) * 2\n    return w",
        "@twice\ndef three(): return 3\nassert three() == 6",
    ),
    "class": (
        "class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n"
        "    def pop(self): return self.items.pop()\n    def __len__(self): return len(self.items)",
        "s = Stack()\ns.push(1)\ns.push('a')\nassert len(s) == 2 and s.pop() == 'a' and s.items == [1]",
    ),
    "attributes_set_and_deleted": (
        "class A:\n    pass",
        "a = A()\na.x = 1\nassert a.x == 1 and hasattr(a, 'x')\ndel a.x\nassert not hasattr(a, 'x')",
    ),
    "properties_and_class_attributes": (
        "class A:\n    kind = 'k'\n    @property\n    def double(self): return 4\n    @classmethod\n    def make(cls): return cls()\n"
        "    @staticmethod\n    def three(): return 3",
        "assert A.kind == 'k' and A().double == 4 and A.make().double == 4 and A.three() == 3",
    ),
    "isinstance_and_subclass": (
        "class A: pass\nclass B(A): pass",
        "assert isinstance(B(), A) and not isinstance(A(), B) and issubclass(B, A) and not isinstance(3, A)",
    ),
    "own_equality_of_own_objects": (
        "class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return self.x == o.x\n    def __hash__(self): return hash(self.x)\n"
        "    def __lt__(self, o): return self.x < o.x",
        "assert P(1) == P(1) and P(1) != P(2) and P(1) < P(2) and len({P(1), P(1)}) == 1 and P(1) in [P(1)]",
    ),
    "operators_between_own_objects": (
        "class V:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return V(self.x + o.x)\n    def __mul__(self, k): return V(self.x * k)\n"
        "    def __sub__(self, o): return V(self.x - o.x)\n    def __neg__(self): return V(-self.x)\n    def __abs__(self): return abs(self.x)",
        "assert (V(1) + V(2)).x == 3 and (V(2) * 3).x == 6 and (V(5) - V(2)).x == 3 and (-V(1)).x == -1 and abs(V(-2)) == 2",
    ),
    "text_of_an_object": (
        "class A:\n    def __str__(self): return 'str'\n    def __repr__(self): return 'repr'\n    def __format__(self, s): return 'fmt' + s",
        "assert str(A()) == 'str' and repr(A()) == 'repr' and f'{A():x}' == 'fmtx'",
    ),
    "container_protocol": (
        "class C:\n    def __init__(self): self.d = {}\n    def __getitem__(self, k): return self.d[k]\n    def __setitem__(self, k, v): self.d[k] = v\n"
        "    def __delitem__(self, k): del self.d[k]\n    def __contains__(self, k): return k in self.d\n    def __iter__(self): return iter(self.d)\n"
        "    def __bool__(self): return bool(self.d)",
        "c = C()\nassert not c\nc['a'] = 1\nassert c['a'] == 1 and 'a' in c and list(c) == ['a'] and c\ndel c['a']\nassert 'a' not in c",
    ),
    "missing_key_of_an_object": (
        "class C:\n    def __getitem__(self, k): raise KeyError(k)",
        "try:\n    C()['x']\n    assert False\nexcept KeyError as e:\n    assert e.args == ('x',)",
    ),
    "context_manager": (
        "class M:\n    log = []\n    def __enter__(self):\n        self.log.append('in')\n        return 5\n    def __exit__(self, *a): self.log.append('out')",
        "with M() as m:\n    assert m == 5\nassert M.log == ['in', 'out']",
    ),
    "built_in_exception": (
        "def f(): raise ValueError('bad', 3)",
        "try:\n    f()\n    assert False\nexcept ValueError as e:\n    assert e.args == ('bad', 3)",
    ),
    "own_exception": (
        "class Mine(LookupError):\n    def __init__(self, code):\n        super().__init__(f'code {code}')\n        self.code = code\ndef f(): raise Mine(7)",
        "import solution\ntry:\n    f()\n    assert False\nexcept solution.Mine as e:\n    assert e.code == 7 and str(e) == 'code 7' and isinstance(e, LookupError)",
    ),
    "exception_hierarchy": (
        "class A(Exception): pass\nclass B(A): pass\ndef f(): raise B()",
        "try:\n    f()\n    assert False\nexcept A:\n    pass\nassert issubclass(B, A)",
    ),
    "stop_iteration_by_next": (
        "class I:\n    def __iter__(self): return self\n    def __next__(self): raise StopIteration",
        "assert list(I()) == []\ntry:\n    next(I())\n    assert False\nexcept StopIteration:\n    pass",
    ),
    "coroutine": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + 1",
        "import asyncio\nassert asyncio.run(f(1)) == 2",
    ),
    "dataclass": (
        "from dataclasses import dataclass, field\n@dataclass(order=True)\nclass P:\n    x: int\n    tags: list = field(default_factory=list)",
        "assert P(1) == P(1) and P(1) < P(2) and P(3).x == 3 and repr(P(1)) == 'P(x=1, tags=[])'",
    ),
    "named_tuple_and_enum": (
        "from collections import namedtuple\nfrom enum import IntEnum\nP = namedtuple('P', 'x y')\nclass E(IntEnum):\n    A = 1\ndef f(): return P(1, E.A)",
        "assert f() == (1, 1) and P(2, 3) == (2, 3)",
    ),
    "standard_library_values": (
        "from collections import Counter, OrderedDict, defaultdict, deque\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
        "import datetime\ndef f():\n    d = defaultdict(list)\n    d['a'].append(1)\n"
        "    return Counter('aab'), OrderedDict(x=1), d, deque([1]), Decimal('1.5'), Fraction(1, 3), datetime.date(2024, 1, 2)",
        "from collections import deque\nfrom decimal import Decimal\nfrom fractions import Fraction\nimport datetime\n"
        "assert f() == ({'a': 2, 'b': 1}, {'x': 1}, {'a': [1]}, deque([1]), Decimal('1.5'), Fraction(1, 3), datetime.date(2024, 1, 2))",
    ),
    "nan_and_infinity": (
        "def f(): return float('nan'), float('-inf')",
        "import math\na, b = f()\nassert math.isnan(a) and b == -math.inf",
    ),
    "printed_text": (
        "def f(): print('hello')",
        "import contextlib, io\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f()\nassert out.getvalue() == 'hello\\n'",
    ),
    "replaced_input": (
        "def ask(): return input('name? ').upper()",
        "import builtins\nkept = builtins.input\nbuiltins.input = lambda prompt='': 'bob' if prompt == 'name? ' else ''\n"
        "try:\n    assert ask() == 'BOB'\nfinally:\n    builtins.input = kept",
    ),
    "module_state_changes": (
        "count = 0\ndef step():\n    global count\n    count += 1",
        "import solution\nstep()\nstep()\nassert solution.count == 2",
    ),
    "module_patched_by_the_tests": (
        "def now(): return 1\ndef f(): return now() + 1",
        "import solution\nsolution.now = lambda: 41\nassert solution.f() == 42",
    ),
    "object_of_the_tests": (
        "def area(shape): return shape.width * shape.height()",
        "class Shape:\n    width = 3\n    def height(self): return 4\nassert area(Shape()) == 12",
    ),
    "file_like_argument": (
        "def f(stream): return [line.strip() for line in stream]",
        "import io\nassert f(io.StringIO('a\\nb\\n')) == ['a', 'b']",
    ),
    "recursion_deeper_than_the_guard": (
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)",
        "assert f(50_000) == 50_000",
    ),
    "float_arithmetic_on_results": (
        "def f(x): return x / 3",
        "assert abs(f(1.0) - 0.333333) < 1e-5 and round(f(1.0), 2) == 0.33",
    ),
    "own_attribute_names": (
        "def f(): return 1\nf.note = 'n'",
        "assert f.__name__ == 'f' and f.note == 'n' and callable(f)",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_tests_pass(sandbox: Sandbox, name: str) -> None:
    code, tests = HONEST[name]
    result = sandbox.unit(code, tests, "asserts")
    assert result.verdict == "accepted", (result.message, result.stdout, result.stderr)


@pytest.mark.parametrize("name", HONEST)
def test_the_same_tests_fail_on_an_empty_module(sandbox: Sandbox, name: str) -> None:
    assert sandbox.unit("", HONEST[name][1], "asserts").verdict in ("wrong_answer", "runtime_error")


def test_numpy_results(sandbox: Sandbox) -> None:
    pytest.importorskip("numpy")
    code = "import numpy as np\ndef f(n): return np.arange(n).reshape(2, -1) * 1.5, np.float64(2.5), np.bool_(True)"
    tests = "import numpy as np\na, b, c = f(4)\nassert a.shape == (2, 2) and np.allclose(a, [[0, 1.5], [3, 4.5]]) and b == 2.5 and c is True"
    assert sandbox.unit(code, tests, "asserts").verdict == "accepted"


def test_unittest_reports_each_test(sandbox: Sandbox) -> None:
    tests = """
import unittest
from solution import f
class T(unittest.TestCase):
    @classmethod
    def setUpClass(cls): cls.base = f(1)
    def test_good(self): self.assertEqual(self.base, 2)
    def test_bad(self): self.assertEqual(f(1), 3, "one more")
    def test_error(self): f("x")
    @unittest.skip("not now")
    def test_skipped(self): self.fail()
    def test_sub(self):
        for i in (1, 2):
            with self.subTest(i=i): self.assertEqual(f(i), 2)
    @unittest.expectedFailure
    def test_expected(self): self.assertEqual(f(1), 5)
if __name__ == "__main__":
    unittest.main()
"""
    result = sandbox.unit("def f(x): return x + 1", tests, "unittest")
    got = {case.message.split(":")[0]: case.verdict for case in result.cases}
    assert got == {
        "T.test_bad": "wrong_answer",
        "T.test_error": "runtime_error",
        "T.test_expected": "accepted",
        "T.test_good": "accepted",
        "T.test_skipped": "accepted",
        "T.test_sub": "wrong_answer",
    }
    assert result.verdict == "wrong_answer"
    assert "3 of 6 tests failed" in result.message


def test_pytest_features(sandbox: Sandbox) -> None:
    tests = """
import pytest
import solution
@pytest.fixture
def two(): return solution.f(1)
@pytest.mark.parametrize("x, y", [(1, 2), (2, 3)])
def test_table(x, y): assert solution.f(x) == y
def test_fixture(two, tmp_path, capsys):
    assert two == 2
    solution.show()
    assert capsys.readouterr().out == "shown\\n"
def test_raises():
    with pytest.raises(TypeError, match="concatenate"): solution.f("x")
def test_approx(): assert solution.f(0.1) == pytest.approx(1.1)
class TestGroup:
    def test_inner(self, monkeypatch):
        monkeypatch.setattr(solution, "STEP", 10)
        assert solution.f(1) == 11
def test_restored(): assert solution.f(1) == 2
"""
    code = "STEP = 1\ndef f(x): return x + STEP\ndef show(): print('shown')"
    result = sandbox.unit(code, tests, "pytest")
    assert result.verdict == "accepted", (result.message, result.stdout)
    assert len(result.cases) == 7


def test_mock_of_the_standard_output(sandbox: Sandbox) -> None:
    tests = """
import io, unittest
from unittest.mock import patch, Mock
import solution
class T(unittest.TestCase):
    @patch("sys.stdout", new_callable=io.StringIO)
    def test_print(self, out):
        solution.greet("Ann")
        self.assertEqual(out.getvalue(), "Hello Ann\\n")
    @patch("builtins.input", side_effect=["3", "4"])
    def test_input(self, _):
        self.assertEqual(solution.total(), 7)
    def test_callback(self):
        hook = Mock(return_value=5)
        self.assertEqual(solution.use(hook), 6)
        hook.assert_called_once_with(1)
"""
    code = (
        "def greet(n): print('Hello', n)\ndef total(): return int(input()) + int(input())\ndef use(h): return h(1) + 1"
    )
    result = sandbox.unit(code, tests, "unittest")
    assert result.verdict == "accepted", (result.message, [case.message for case in result.cases])


def test_module_in_a_package(sandbox: Sandbox) -> None:
    assert (
        sandbox.unit("X = 1", "from pkg.sub.mod import X\nassert X == 1", "asserts", module="pkg.sub.mod").verdict
        == "accepted"
    )


def test_candidate_without_the_name_fails_the_tests(sandbox: Sandbox) -> None:
    tests = "import unittest\nfrom solution import missing\nclass T(unittest.TestCase):\n    def test_a(self): pass"
    result = sandbox.unit("x = 1", tests, "unittest")
    assert result.verdict == "runtime_error"
    assert "missing" in result.message


@pytest.mark.parametrize(("framework", "tests"), [("unittest", "x = 1"), ("pytest", "x = 1"), ("asserts", "assert (")])
def test_broken_tests_are_refused(sandbox: Sandbox, framework: str, tests: str) -> None:
    result = sandbox.unit("x = 1", tests, framework)  # type: ignore[arg-type]  # one of the literals
    assert result.verdict == "refused"
    assert "tests.test_code" in result.message


def test_check_needs_an_entry_point(sandbox: Sandbox) -> None:
    result = sandbox.unit("x = 1", "def check(c): pass", "check")
    assert result.verdict == "refused"
    assert "entry_point" in result.message


def test_limits_of_the_candidate(sandbox: Sandbox) -> None:
    tests = "def check(candidate):\n    assert candidate() == 1"

    def verdict(code: str) -> str:
        limits = {"time_s": 0.5, "wall_s": 2.0, "memory_mb": 64}
        return sandbox.unit(code, tests, "check", entry_point="f", limits=limits).verdict

    assert verdict("def f():\n    while True: pass") == "time_limit"
    assert verdict("import time\ndef f(): time.sleep(60)") == "time_limit"
    assert verdict("def f(): return len(b'x' * (200 << 20))") == "memory_limit"
    assert verdict("def f(): return f()") == "runtime_error"
    assert verdict("1 / 0") == "runtime_error"
    assert verdict("def f(:") == "compile_error"


def test_endless_generator_is_a_time_limit_of_the_tests(sandbox: Sandbox) -> None:
    code = "def f():\n    while True: yield 1"
    tests = "def check(candidate):\n    assert all(candidate())"
    assert sandbox.unit(code, tests, "check", entry_point="f", limits={"time_s": 0.5}).verdict == "time_limit"


def test_update_keeps_identities() -> None:
    inner = [1]
    outer = {"a": inner, "b": [0]}
    rpc.update(outer, {"a": [1, 2], "c": {3}})
    assert outer == {"a": [1, 2], "c": {3}}
    assert outer["a"] is inner
