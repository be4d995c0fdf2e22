"""What a worker does with one request. Runs only inside workers; sympy is never imported by the caller.

Model text reaches sympy through the LaTeX grammar alone: no ``eval``, ``sympify`` or ``parse_expr``. (Under the scorer
"math-verify", Math-Verify's own extraction may hand a run of digits and operators, never a name, to ``parse_expr``.)
"""

from functools import lru_cache
from typing import Any

from math_verify import parse, verify
from math_verify.parser import LatexExtractionConfig

from harness.graders.math.corrections import ALL
from harness.graders.math.expressions import same_expression, same_relation_sets, within
from harness.graders.math.scanning import parse_response
from harness.graders.math.strict import Strict

_LATEX_ONLY = (LatexExtractionConfig(),)


@lru_cache(maxsize=4096)
def parse_answer(answer: str) -> tuple[Any, ...]:
    """Parses one answer (LaTeX) with Math-Verify, alarms off."""
    return tuple(parse(f"\\boxed{{{answer}}}", _LATEX_ONLY, parsing_timeout=None))


def math_verify_pair(gold: str, answer: str) -> bool:
    """Math-Verify's verdict on one answer as it stands."""
    return bool(verify(list(parse_answer(gold)), list(parse_answer(answer)), timeout_seconds=None))


def math_verify_response(golds: list[str], response: str) -> dict[str, Any]:
    """Math-Verify's verdict on a whole response, with its own extraction."""
    predicted = parse_response(response)
    correct = any(verify(list(parse_answer(gold)), predicted, timeout_seconds=None) for gold in golds)
    text = next((item for item in predicted if isinstance(item, str)), None)
    return {"correct": correct, "extracted": text, "found": bool(predicted)}


def answer_request(request: dict[str, Any]) -> dict[str, Any]:
    """Answers one request of the pool; the reply holds ``correct`` and what explains it.

    ``op`` is "math-verify" (with ``golds`` and ``response``: Math-Verify on all of it), "pair" (``golds``, ``answer``:
    Math-Verify on the extracted answer) or "strict" (also ``corrections``, ``several``, ``tolerance``).
    """
    golds = request["golds"]
    if request["op"] == "math-verify":
        return math_verify_response(golds, request["response"])
    answer = request["answer"]
    if request["op"] == "pair":
        return {"correct": any(math_verify_pair(gold, answer) for gold in golds)}
    enabled = ALL if request["corrections"] is None else frozenset(request["corrections"])
    strict = Strict(enabled, same_expression if "numbers" in enabled else math_verify_pair, same_relation_sets)
    correct = any(strict.same(gold, answer, several=request.get("several", False)) for gold in golds)
    tolerance = request.get("tolerance")
    if not correct and tolerance is not None:
        correct = any(within(strict.value(gold), strict.value(answer), tolerance) for gold in golds)
    return {"correct": correct, "used": sorted(strict.used)}
