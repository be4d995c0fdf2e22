"""The four packages that a verdict depends on, checked when the grader is imported.

Math-Verify 0.9.0 asks for any ``latex2sympy2_extended`` from 1.11 on and any antlr runtime that has a grammar there.
The grammars differ: those of antlr 4.9.3 and 4.11 know no percent sign, so ``10\\%`` against ``10`` flips without a
word.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from harness.errors import UsageError

PINS = {
    "math-verify": "0.9.0",
    "latex2sympy2_extended": "1.11.0",
    "sympy": "1.14.0",
    "antlr4-python3-runtime": "4.13.2",
}


@cache
def versions() -> dict[str, str]:
    """Returns the installed version of each pinned package, for manifests.

    Raises:
        UsageError: A package is missing.
    """
    found = {}
    for name, pinned in PINS.items():
        try:
            found[name] = version(name)
        except PackageNotFoundError as error:
            raise UsageError(
                f"the mathematics grader needs {name}, which is not installed: pip install '{name}=={pinned}'"
            ) from error
    return found


def check_pins(found: dict[str, str]) -> None:
    """Refuses an environment whose parsers are not the pinned ones.

    Args:
        found: Package name to installed version.

    Raises:
        UsageError: Names the first package that differs, and the way out.
    """
    for name, pinned in PINS.items():
        if found.get(name) != pinned:
            raise UsageError(
                f"{name} is {found.get(name, 'missing')}, and the mathematics grader's verdicts hold for {pinned}: "
                f"pip install '{name}=={pinned}' (hydra, omegaconf and lm-eval[math] need another antlr; "
                "give them an environment of their own)"
            )
