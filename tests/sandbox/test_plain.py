"""Tests that leave nothing behind run in a warm process: which they are, and that nothing is left of them."""

import pytest

from sandbox import Sandbox
from sandbox.plain_tests import is_plain


@pytest.mark.parametrize(
    "source",
    [
        "import random\nfor _ in range(9):\n    x = random.randint(-9, 9)\n    assert f(x) == x",
        "from random import choice, shuffle\nimport copy\nx = [1, 2]\nshuffle(x)\nassert f(copy.deepcopy(x)) == x",
        "import string\nassert f(string.ascii_lowercase) and f(string.capwords('a b'))",
        "import collections\nassert f(collections.Counter('a'))",
    ],
)
def test_what_leaves_nothing_behind_is_plain(source: str) -> None:
    assert is_plain(source)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nassert f(1)",
        "import typing\ntyping.sys.modules.clear()",
        "import random\nrandom._os.environ.clear()",
        "import random\nx = random._inst",
        "from typing import *\nget_type_hints(f)",
        "from functools import *\n@singledispatch\ndef g(x): pass",
        "import copy\ncopy.dispatch_table.clear()",
        "from copy import dispatch_table as d",
        "import string\nstring.Formatter().vformat('{0.x}', [f], {})",
        "from string import Template",
        "import collections\ncollections._sys.setrecursionlimit(9)",
        "from typing import re",
        "import heapq\nheapq.heappush = f",
    ],
)
def test_what_could_leave_something_behind_is_not(source: str) -> None:
    assert not is_plain(source)


def test_random_numbers_are_new_for_each_job(sandbox: Sandbox) -> None:
    code = "def f(x):\n    return x"
    draw = "import random\nprint(random.random(), random.gauss(0, 1))\nassert f(1) == 1"
    seeded = "import random\nrandom.seed(7)\nrandom.gauss(0, 1)\nassert f(1) == 1"
    assert is_plain(draw)
    assert is_plain(seeded)
    drawn = set()
    for _ in range(3):
        assert sandbox.unit(code, seeded, "asserts").verdict == "accepted"
        result = sandbox.unit(code, draw, "asserts")
        assert result.verdict == "accepted"
        drawn.add(result.stdout)
    assert len(drawn) == 3
    assert sandbox.unit(code, "assert 'random' not in globals()", "asserts").verdict == "accepted"


def test_a_wrong_answer_to_a_random_question_is_found(sandbox: Sandbox) -> None:
    tests = "import random\nfor _ in range(50):\n    x = random.randint(2, 99)\n    assert f(x) == x * x"
    assert is_plain(tests)
    assert sandbox.unit("def f(x):\n    return x * x", tests, "asserts").verdict == "accepted"
    assert sandbox.unit("def f(x):\n    return x * 2", tests, "asserts").verdict == "wrong_answer"
