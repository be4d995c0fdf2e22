"""Made-up responses to AIME problems, as a reasoning model writes them: 32,000 characters, formulas, a box at the end.

Each (problem, index) has its own text, the same in every run. What a response comes to is drawn from ``OUTCOMES``.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

CHARACTERS = 32_000
Outcome = Literal["right", "wrong", "no box", "cut"]
OUTCOMES: dict[Outcome, float] = {"right": 0.70, "wrong": 0.20, "no box": 0.02, "cut": 0.08}
_PARAGRAPHS = 3_000
_STEPS = (
    r"Let me set {v} = {a} and see what happens: ${v}^2 + {b}{v} - {c} = 0$, so by the quadratic formula "
    r"${v} = \frac{{-{b} \pm \sqrt{{{b}^2 + 4 \cdot {c}}}}}{{2}}$.",
    r"Wait, that is not right. The condition says {a} < {v} < {d}, but we found {v} = {c}. Let me check this again.",
    r"Then \[ \sum_{{k=1}}^{{{a}}} k = \frac{{{a} \cdot ({a}+1)}}{{2}} \] holds, and modulo {b} this leaves {c}.",
    r"So \({v}_{{n+1}} = {a}{v}_n + {b}\) with \({v}_0 = {c}\). Hmm, this grows like ${a}^n$.",
    r"Let's count: there are $\binom{{{d}}}{{3}}$ ways to choose, minus the {a} that share a side, over {b} in all.",
    r"By cosines, $AB^2 = {a}^2 + {b}^2 - 2 \cdot {a} \cdot {b} \cos\theta$ with $\cos\theta = \frac{{1}}{{{c}}}$.",
    r"Case {a}: if $p \mid {d}$ then $p \in \{{2, 3, {b}\}}$. That gives {c} values, 1,{e} in total.",
    r"Alternatively, let $\omega = e^{{2\pi i/{a}}}$, so that $|\omega^{{{b}}} - 1| = 2\sin\frac{{{b}\pi}}{{{a}}}$.",
    r"I think the answer might be {d}, but I need to be careful with the boundary case {v} = {a}.",
    r"So: $$ \frac{{{a}{v} + {b}}}{{{v} - {c}}} = {d} \implies {v} = \frac{{{b} + {c} \cdot {d}}}{{{d} - {a}}} $$",
    "Okay, so the problem wants me to find something like {a} times {b}, which is {f}. Hmm, but that seems too easy.",
    r"Thus the area is $[ABC] = \frac12 \cdot {a} \cdot {b} = {c}.5$, the ratio is {a}/{b}, or {b}/{a} the other way.",
    "1. First the coordinates: A = ({a}, 0), B = (0, {b}), C = ({c}, {d}).\n2. Then the slope of AB, -{b}/{a}.\n"
    "3. Then the circle through all three.",
    r"Since $\gcd({a}, {b}) = 1$, by the Chinese remainder theorem there is exactly one residue mod {f}.",
    r"If $f({v}) = \log_{{{a}}} {v}$, then $f({b}{v}) = f({v}) + \log_{{{a}}} {b}$; the two sides agree at {v} = {c}.",
)
_ASIDE = (
    "The final answer must be an integer from 0 to 999, so {d} could be it, but let me go back to the equation first."
)
_ENDS = (
    "**Final Answer**\nThe final answer is $\\boxed{{{answer}}}$.",
    "Therefore, the answer is:\n\n\\[\n\\boxed{{{answer}}}\n\\]",
    "The answer is $\\boxed{{{answer}}}$.",
    "\n\n$$\\boxed{{{answer}}}$$",
)


@dataclass(frozen=True)
class Response:
    """One response: its text, what it comes to, and whether it was cut at the token limit."""

    text: str
    outcome: Outcome

    @property
    def finish_reason(self) -> str:
        """As a server reports it."""
        return "length" if self.outcome == "cut" else "stop"


def response(problem: str, gold: str, index: int, characters: int = CHARACTERS) -> Response:
    """The response to one sample of a problem.

    Args:
        problem: Name of the problem.
        gold: Its answer, an integer from 0 to 999.
        index: Number of the sample.
        characters: Length of the text.
    """
    rng = random.Random(f"{problem}/{index}")
    outcome = rng.choices(list(OUTCOMES), list(OUTCOMES.values()))[0]
    answer = str(int(gold)) if outcome == "right" else str((int(gold) + rng.randint(1, 990)) % 1000)
    end = rng.choice(_ENDS).format(answer=answer)
    if outcome == "cut":
        return Response(f"<think>\n{_reasoning(rng, characters - 8)}", outcome)
    inside = f"\n\n{end}" if rng.random() < 0.25 else ""  # some models box the answer in their thoughts as well
    after = "I could not reach a definite value." if outcome == "no box" else _solution(rng, end)
    frame = ("<think>\n", f"{inside if outcome != 'no box' else ''}\n</think>\n\n{after}")
    body = _reasoning(rng, characters - sum(map(len, frame)))
    return Response(body.join(frame), outcome)


def _solution(rng: random.Random, end: str) -> str:
    steps = "\n\n".join(rng.choice(_paragraphs()) for _ in range(3))
    return f"To solve this, go step by step.\n\n{steps}\n\n{end}"


def _reasoning(rng: random.Random, size: int) -> str:
    parts: list[str] = []
    left = size
    while left > 0:
        parts.append(rng.choice(_paragraphs()))
        left -= len(parts[-1]) + 2
    return "\n\n".join(parts)[:size]


@cache
def _paragraphs() -> list[str]:
    rng = random.Random(0)
    return [" ".join(_sentences(rng)) for _ in range(_PARAGRAPHS)]


def _sentences(rng: random.Random) -> Iterator[str]:
    steps = rng.sample(_STEPS, rng.randint(2, 5))
    for step in steps if rng.random() > 0.02 else [*steps, _ASIDE]:
        numbers: dict[str, Any] = {name: rng.randint(2, 97) for name in "abc"}
        numbers |= {"d": rng.randint(100, 999), "e": f"{rng.randint(0, 999):03}", "v": rng.choice("xyznmk")}
        yield step.format(f=numbers["a"] * numbers["b"], **numbers)
