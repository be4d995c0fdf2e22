"""Plain text of the toys' world for base pre-training: operations, equations, solutions without question or answer."""

from collections.abc import Iterator, Mapping
from random import Random

from reference_trainer.tasks.arithmetic import steps
from reference_trainer.tasks.problem import MODULUS, Domain
from reference_trainer.tasks.problems import TOYS, draw_problems
from reference_trainer.tasks.teacher import EQUAL_SHARES

_FACTS = 8
_EQUATIONS_SHARE = 0.2
_INVERTIBLE = (1, 3, 7, 9)


def documents(
    count: int, seed: int, facts_share: float, shares: Mapping[Domain, float] = EQUAL_SHARES
) -> Iterator[str]:
    """``count`` documents; those with problems take them from the training sets alone, domains as ``shares`` say.

    A model that has read them knows the operations and the look of a solution, but has never seen a question being
    answered: no document holds a boxed answer, a code block, or the chat form.
    """
    random = Random(f"{seed}/corpus")
    sources = {domain: draw_problems(domain, "train", seed) for domain in shares}
    for domain in random.choices(list(shares), list(shares.values()), k=count):
        if random.random() < facts_share:
            yield ",".join(_fact(random) for _ in range(_FACTS))
        else:
            problem = next(sources[domain])
            worked = TOYS[problem.domain].careful(problem).split("\\boxed")[0].split("\n```")[0]
            joint = "" if problem.domain == "math" else ":"
            yield f"{problem.question.removesuffix('?')}{joint}{worked}"


def _fact(random: Random) -> str:
    if random.random() < _EQUATIONS_SHARE:
        factor, root = random.choice(_INVERTIBLE), random.randrange(MODULUS)
        return f"{factor}a={factor * root % MODULUS},a={root}"
    left, operator, right = random.randrange(MODULUS), random.choice("+-*"), random.randrange(MODULUS)
    expression = f"{left}{operator}{right}"
    return f"{expression}={steps(expression)[-1]}"
