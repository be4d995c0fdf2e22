"""Sets of toy problems: seeded, over all levels, disjoint by construction."""

from collections.abc import Iterator
from random import Random

from harness.errors import UsageError, nearest
from reference_trainer.tasks.arithmetic import Arithmetic
from reference_trainer.tasks.formulas import Formulas
from reference_trainer.tasks.problem import DOMAINS, SPLITS, Domain, Split, ToyDomain, ToyProblem
from reference_trainer.tasks.programs import Programs

TOYS: dict[Domain, ToyDomain] = {"math": Arithmetic(), "code": Programs(), "science": Formulas()}
_VAIN_DRAWS = 2_000


def draw_problems(
    domain: Domain, split: Split, seed: int, levels: tuple[int, ...] | None = None
) -> Iterator[ToyProblem]:
    """Endless problems of one set, levels equally often; a question may come again.

    Args:
        domain: "math", "code" or "science".
        split: "train", "validation" or "heldout".
        seed: Every seed gives another order, but never a problem of another set.
        levels: Difficulties; None: all of the domain.

    Raises:
        UsageError: No such domain, set or level.
    """
    toy = _toy(domain, split)
    chosen = toy.levels if levels is None else levels
    if not chosen or not set(chosen) <= set(toy.levels):
        raise UsageError(f"{domain} has the levels {', '.join(map(str, toy.levels))}, and {levels} are asked for")
    random = Random(f"{seed}/{domain}/{split}")
    while True:
        problem = toy.draw(random.choice(chosen), random)
        if problem.split == split:
            yield problem


def problem_set(
    domain: Domain, split: Split, count: int, seed: int, levels: tuple[int, ...] | None = None
) -> list[ToyProblem]:
    """``count`` different problems of one set; arguments as in ``draw_problems``.

    Raises:
        UsageError: There are not that many; or as in ``draw_problems``.
    """
    found: dict[str, ToyProblem] = {}
    vain = 0
    source = draw_problems(domain, split, seed, levels)
    while len(found) < count:
        problem = next(source)
        vain = vain + 1 if problem.question in found else 0
        found[problem.question] = problem
        if vain == _VAIN_DRAWS:
            raise UsageError(
                f"{domain}: the {split} set has hardly more than {len(found)} problems, and {count} are asked for; "
                "ask for fewer, or for more levels"
            )
    return list(found.values())


def _toy(domain: str, split: str) -> ToyDomain:
    if split not in SPLITS:
        raise UsageError(f"unknown set '{split}'{nearest(split, SPLITS)}; known: {', '.join(SPLITS)}")
    for known in DOMAINS:
        if known == domain:
            return TOYS[known]
    raise UsageError(f"unknown toy domain '{domain}'{nearest(domain, DOMAINS)}; known: {', '.join(DOMAINS)}")
