import subprocess
import sys

import pytest

from harness.errors import UsageError
from harness.graders.math import versions
from harness.graders.math.pins import PINS, check_pins


def test_the_pinned_packages_are_installed_and_written_down() -> None:
    assert versions() == PINS


@pytest.mark.parametrize("name", PINS)
def test_any_other_version_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} is 4\.9\.3.*pip install '{name}=={PINS[name]}'"):
        check_pins({**PINS, name: "4.9.3"})


def test_the_caller_never_loads_sympy() -> None:
    program = (
        "import sys\nfrom harness.graders import choice, math\n"
        "assert math.grade('\\\\boxed{5}', '5').correct and math.grade('\\\\boxed{1+x}', 'x+1').correct\n"
        "print([name for name in ('sympy', 'math_verify', 'latex2sympy2_extended', 'antlr4') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
