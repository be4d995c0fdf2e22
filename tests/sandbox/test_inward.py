"""A program that cannot come to look for its own source is not given it; one that looks finds it."""

import pytest

from sandbox import Sandbox
from sandbox.languages.python import is_inward


@pytest.mark.parametrize(
    "code",
    [
        "",
        "print(sum(map(int, input().split())))",
        "import sys, math\nfrom typing import List, Optional\nprint(sys.stdin.read(), file=sys.stderr)",
        "from collections import (\n    deque,\n)\nimport heapq as h, re\nif True:\n    import bisect",
    ],
)
def test_inward(code: str) -> None:
    assert is_inward(code)


@pytest.mark.parametrize(
    "code",
    [
        "open(__file__)",
        "import os",
        "import math, os",
        "import math as m, os as n",
        "x = 1; import inspect",
        "if x: import inspect",
        "from . import solution",
        "import solution",
        "import math, \\\n  os",
        "from os import path",
        "import math; import os",
        "__import__('os')",
        "import sys\nsys.modules['posix'].open",
        "import sys\nsys._getframe().f_globals",
        "exec('im' + 'port os')",
        "import signal",
        "import traceback",
        "import multiprocessing",
    ],
)
def test_outward(code: str) -> None:
    assert not is_inward(code)


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    return open(__file__).read().count('open')",
        "import inspect\ndef f(x):\n    return len(inspect.getsource(f).split('\\n')) - 1",
        "import os\ndef f(x):\n    return 2 * (os.listdir('/box') == ['solution.py'])",
        "import importlib\ndef f(x):\n    return 2 * hasattr(importlib.import_module('solution'), 'f')",
        "import signal\ndef f(x):\n    return 2 * (signal.getsignal(signal.SIGINT) is signal.default_int_handler)",
        "def f(x):\n    return 2 * (open('/proc/self/stat').read() != '')",
    ],
)
def test_who_looks_finds(sandbox: Sandbox, code: str) -> None:
    result = sandbox.unit(code, "assert f(0) in (1, 2)", "asserts")
    assert result.verdict == "accepted", result.message + result.stderr


@pytest.mark.parametrize("mode", ["run", "unit"])
def test_a_traceback_shows_the_source(sandbox: Sandbox, mode: str) -> None:
    code = "def broken(x):\n    return 1 / x  # here\nbroken(0)"
    assert is_inward(code)
    result = sandbox.run(code) if mode == "run" else sandbox.unit(code, "assert broken(1)", "asserts")
    assert result.verdict == "runtime_error"
    assert "return 1 / x  # here" in result.stderr
    assert sandbox.run("import os\nprint(os.listdir('/box'))").stdout == "['main.py']\n"
    assert "invalid" in sandbox.run("x = = 1").stderr


def test_a_blank_module_is_no_module_to_import(sandbox: Sandbox) -> None:
    result = sandbox.run("import solution")
    assert "No module named 'solution'" in result.stderr
