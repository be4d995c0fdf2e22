"""The corrections that ``strict`` makes to Math-Verify's verdict, by name; each can be switched off and is counted."""

from collections.abc import Iterable

from harness.errors import UsageError, nearest

DESCRIPTIONS = {
    "forms": "reads notations that the parser does not know: Unicode signs, spaced thousands, repeating decimals, "
    "1e-3, currencies, compound units, inequalities for intervals",
    "numbers": "numbers are compared exactly or relatively, at a precision scaled to them; decimal golds keep their "
    "digits, exact golds need 9 right digits",
    "bases": "a number with a base subscript equals only the same digits in the same base",
    "relations": "an equation without variables must hold (7=5 is not 5)",
    "modulus": "residues are evaluated (17 mod 5 is 2)",
    "candidates": "several different candidates are no answer to a question with one",
    "structure": "lists, sets and tuples are compared element by element, ordered where the gold is",
    "words": "words are compared as words, not as products of letters",
    "units": "two different units of one dimension are two different answers",
    "times": "times of day are compared as times, not as ratios",
}

ALL = frozenset(DESCRIPTIONS)


def check_names(names: Iterable[str]) -> frozenset[str]:
    """Returns the names as a set; raises UsageError for one that is no correction."""
    chosen = frozenset(names)
    for name in sorted(chosen - ALL):
        raise UsageError(f"unknown correction {name!r}{nearest(name, ALL)}; known: {', '.join(sorted(ALL))}")
    return chosen
