"""HumanEval+ and MBPP+: verdicts are those of the evalplus package, and values cross the sandbox unharmed."""

import ast
import copy
import json
import math
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.card import load_card
from harness.graders.code import CodeGrader
from harness.graders.code.driver import Digest, decode, digest, encode, reduced
from harness.graders.code.evalplus import Oracle
from harness.graders.code.mbpp_inputs import arguments
from harness.problems import LoadOptions, load_problems
from harness.types import Problem, Sample
from sandbox import Sandbox

NUMBERS = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.fractions(), st.complex_numbers(), st.just(Decimal("1.5"))
)
FLAT = st.one_of(
    NUMBERS, st.none(), st.text(alphabet=st.characters(exclude_categories=()), max_size=8), st.binary(max_size=8)
)
HASHABLE = st.recursive(FLAT, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.sets(HASHABLE, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
    ),
    max_leaves=12,
)


def has_nan(value: Any) -> bool:
    if isinstance(value, float | complex):
        return value != value
    if isinstance(value, dict):
        return any(map(has_nan, [*value.keys(), *value.values()]))
    return any(map(has_nan, value)) if isinstance(value, list | tuple | set | frozenset) else False


@given(VALUES)
def test_values_cross_as_json_and_stay_equal(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value))))
    if not has_nan(value):
        assert back == value
        assert type(back) is type(value) or isinstance(value, frozenset)
        assert digest(back) == digest(value)
        assert Digest(digest(value)) == back


@given(VALUES, VALUES)
def test_digests_are_equal_exactly_when_values_are(one: Any, other: Any) -> None:
    if not has_nan(one) and not has_nan(other):
        assert (digest(one) == digest(other)) is (one == other)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True), (1, True, True), ([1, 2], [1.0, True + 1], True), (Fraction(1, 2), 0.5, True),
        (Decimal("0.1"), 0.1, False), ([1], (1,), False), ({1, 2}, {2, 1}, True), ({1: 2, 3: 4}, {3: 4, 1: 2}, True),
        ("1", 1, False), (10**400, 10**400 + 1, False), ({1}, frozenset({1}), True),
        (-1, -2, False), (2**61 - 1, 0, False), ([["a"], ["b"]], [["a", "b"]], False), (math.inf, math.inf, True),
        (math.nan, math.nan, False), ([("a", "b")], [["a", "b"]], False), (0.1 + 0.2, 0.3, False), (1 + 0j, 1, True),
    ],
)  # fmt: skip
def test_digest_cases(one: Any, other: Any, same: bool) -> None:
    assert (digest(one) == digest(other)) is same


def test_only_large_values_are_reduced() -> None:
    assert reduced([1, 2]) == [1, 2]
    large = reduced(list(range(30_000)))
    assert isinstance(large, Digest)
    assert (large.floats, large == list(range(30_000)), large == list(range(30_001))) == ("", True, False)
    assert reduced([0.5] * 30_000).floats == "all"
    assert reduced([[0.5] * 30_000]).floats == "some"
    assert isinstance(reduced("x" * 300_000), Digest)


@pytest.mark.parametrize(
    "form", [{"x": 1}, {"i": "zz"}, {}, {"i": "1", "f": "2"}, {"s": [[]]}, {"c": ["1"]}, {"b": "q"}]
)
def test_forms_that_are_none_are_refused(form: object) -> None:
    with pytest.raises((ValueError, TypeError, ArithmeticError, IndexError)):
        decode(form)


@pytest.fixture
def peer() -> None:
    pytest.importorskip("evalplus", reason="the package to compare with: pip install 'ringlite[evalplus]'")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as running:
        yield running


def gold(name: str, canonical: str, inputs: list[Any], atol: float = 0, dataset: str = "humaneval") -> dict[str, Any]:
    return {
        "kind": "evalplus", "dataset": dataset, "task_id": f"Mbpp/1{len(canonical)}", "prompt": "", "entry_point": name,
        "canonical_solution": canonical, "base_input": inputs[:1], "plus_input": inputs, "atol": atol, "contract": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("program", "base", "plus"),
    [
        ("def f(x): return x * 0.1", True, True),
        ("def f(x): return x * 0.1 + 1e-9", True, True),
        ("def f(x): return x * 0.1 + 1e-4", False, False),
        ("def f(x): return x * 0.1 if x < 2 else 0.0", True, False),
        ("def f(x): return str(x * 0.1)", False, False),
        ("def f(x): raise SystemExit", False, False),
        ("import os\nos._exit(0)", False, False),
        ("def f(x):\n    print('noise', flush=True)\n    return x * 0.1", True, True),
        (
            "import os, sys\ndef f(x):\n    os.write(1, b'[0, \"builtins.float\", 0]\\n')\n    return x * 0.1",
            True,
            True,
        ),
        ("def f(x):\n    while True: pass", False, False),
        ("def g(x): return 1", False, False),
        ("def f(x", False, False),
    ],
)
def test_base_and_plus_verdicts(sandbox: Sandbox, program: str, base: bool, plus: bool) -> None:
    oracle = Oracle(sandbox.execute)
    correct, found = oracle.judge(program, gold("f", "def f(x): return x * 0.1", [[1], [2], [3]]))
    assert (found["base"], found["plus"], correct) == (base, plus, plus)


def test_large_floats_within_tolerance_are_still_accepted(sandbox: Sandbox) -> None:
    oracle = Oracle(sandbox.execute)
    task = gold("f", "def f(n): return [i * 0.1 for i in range(n)]", [[30_000], [40_000]])
    assert oracle.judge("def f(n): return [i * 0.1 + 1e-9 for i in range(n)]", task)[0]
    assert not oracle.judge("def f(n): return [i * 0.1 + 1e-3 for i in range(n)]", task)[0]
    assert not oracle.judge("def f(n): return [i * 0.1 for i in range(n - 1)]", task)[0]


@pytest.mark.data
def test_mbpp_inputs_get_the_types_that_evalplus_gives_them(peer: None, data: Any) -> None:
    from evalplus.data.mbpp import mbpp_deserialize_inputs

    for problem in load_problems(load_card("mbpp_plus"), data, LoadOptions(hub="never")):
        for name in ("base_input", "plus_input"):
            theirs = mbpp_deserialize_inputs(problem.id, problem.gold[name])
            ours = arguments(problem.id, problem.gold[name])
            assert [tuple(args) for args in ours] == [tuple(args) for args in theirs]
            assert repr([tuple(args) for args in ours]) == repr([tuple(args) for args in theirs])


class _Mutator(ast.NodeTransformer):
    """Applies the ``at``-th change that the program offers: another constant, off by one, a branch that is gone."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def _hit(self) -> bool:
        self.seen += 1
        return self.seen - 1 == self.at

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, int | float | str) and self._hit():
            changed = (
                not node.value
                if isinstance(node.value, bool)
                else node.value + "x"
                if isinstance(node.value, str)
                else node.value + 1
            )
            return ast.copy_location(ast.Constant(changed), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.Sub) and self._hit():
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        other = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq}
        if type(node.ops[0]) in other and self._hit():
            node.ops[0] = other[type(node.ops[0])]()
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return (node.orelse or [ast.Pass()]) if self._hit() else node


def mutants(problem: Problem, count: int, pick: random.Random) -> list[str]:
    tree = ast.parse(problem.gold["prompt"] + problem.gold["canonical_solution"])
    counter = _Mutator(-1)
    counter.visit(copy.deepcopy(tree))
    places = pick.sample(range(counter.seen), min(count, counter.seen))
    return [ast.unparse(ast.fix_missing_locations(_Mutator(at).visit(copy.deepcopy(tree)))) for at in places]


def evalplus_says(problem: Problem, program: str, expected: Any) -> tuple[bool, bool]:
    from evalplus.eval import PASS, untrusted_check

    task = problem.gold
    passed = []
    for part, (values, seconds) in zip(("base", "plus"), expected, strict=True):
        inputs = task[f"{part}_input"]
        if task["dataset"] == "mbpp":
            inputs = arguments(task["task_id"], inputs)
        status, _ = untrusted_check(
            task["dataset"], program, inputs, task["entry_point"], values, task["atol"], seconds, fast_check=True
        )
        passed.append(status == PASS)
    return passed[0], passed[0] and passed[1]


def evalplus_expects(problem: Problem) -> Any:
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
    from evalplus.gen.util import trusted_exec

    task = problem.gold
    parts = [task["base_input"], task["plus_input"]]
    if task["dataset"] == "mbpp":
        parts = [arguments(task["task_id"], part) for part in parts]
    code = task["prompt"] + task["canonical_solution"]
    bare = task["dataset"] == "mbpp" and task["entry_point"] in MBPP_OUTPUT_NOT_NONE_TASKS
    return [trusted_exec(code, part, task["entry_point"], record_time=True, output_not_none=bare) for part in parts]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["humaneval_plus", "mbpp_plus"])
def test_mutants_get_the_verdict_that_evalplus_gives(peer: None, sandbox: Sandbox, data: Any, name: str) -> None:
    pick = random.Random(7)
    problems = load_problems(load_card(name), data, LoadOptions(hub="never"))
    # Problems whose reference results are huge take minutes in evalplus itself.
    slow = ("HumanEval/15", "HumanEval/130", "HumanEval/139", "Mbpp/255", "Mbpp/599")
    # evalplus 0.3.1 refuses every solution of HumanEval/32, see the test below.
    slow += ("HumanEval/32",)
    quick = [p for p in problems if len(json.dumps(p.gold["plus_input"])) < 100_000 and p.id not in slow]
    grader = CodeGrader(sandbox)
    pairs = [(p, m) for p in pick.sample(quick, 70) for m in mutants(p, 3, pick)]
    assert len(pairs) >= 150
    expected = {p.id: evalplus_expects(p) for p, _ in pairs}
    with ThreadPoolExecutor(2) as threads:
        ours = list(threads.map(lambda pair: grader.judge(*pair)[1], pairs))
    differing = []
    for (problem, program), found in zip(pairs, ours, strict=True):
        theirs = evalplus_says(problem, program, expected[problem.id])
        if (found["base"], found["plus"]) != theirs:
            differing.append((problem.id, found, theirs, program))
    assert differing == []
    assert any(found["plus"] for found in ours)
    assert any(found["base"] and not found["plus"] for found in ours)


@pytest.mark.data
def test_the_problem_that_evalplus_itself_never_accepts(peer: None, sandbox: Sandbox, data: Any) -> None:
    (erratum,) = load_card("humaneval_plus").errata
    problem = {p.id: p for p in load_problems(load_card("humaneval_plus"), data, LoadOptions(hub="never"))}[
        erratum.problem
    ]
    canonical = problem.gold["prompt"] + problem.gold["canonical_solution"]
    assert evalplus_says(problem, canonical, evalplus_expects(problem)) == (False, False)
    assert CodeGrader(sandbox).judge(problem, canonical)[0]
    assert not CodeGrader(sandbox).judge(problem, canonical.replace("return x", "return x + 1"))[0]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["humaneval_plus", "mbpp_plus"])
def test_canonical_solutions_are_accepted(sandbox: Sandbox, data: Any, name: str) -> None:
    grader = CodeGrader(sandbox)
    problems = load_problems(load_card(name), data, LoadOptions(hub="never"))
    samples = [
        (
            p,
            Sample(
                "t",
                name,
                p.id,
                0,
                None,
                "",
                "stop",
                metadata={"program": p.gold["prompt"] + p.gold["canonical_solution"]},
            ),
        )
        for p in problems
    ]
    with ThreadPoolExecutor(2) as threads:
        grades = list(threads.map(lambda pair: grader.grade(*pair), samples))
    assert [(g.problem_id, g.evidence) for g in grades if not (g.correct and g.evidence["base"])] == []
