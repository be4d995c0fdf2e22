"""Worked solutions of the toys' problems for base pre-training, without the chat form and without an answer."""

from collections.abc import Iterator, Mapping
from random import Random

from reference_trainer.tasks.problem import Domain
from reference_trainer.tasks.problems import TOYS, draw_problems
from reference_trainer.tasks.teacher import EQUAL_SHARES


def documents(count: int, seed: int, shares: Mapping[Domain, float] = EQUAL_SHARES) -> Iterator[tuple[str, str]]:
    """``count`` documents as (statement, solution), of problems of the training sets, domains as ``shares`` say.

    A model that has read them knows the operations and the look of a solution, but has never seen a question being
    answered: no document holds a boxed answer, a code block, or the chat form.
    """
    random = Random(f"{seed}/corpus")
    sources = {domain: draw_problems(domain, "train", seed) for domain in shares}
    for domain in random.choices(list(shares), list(shares.values()), k=count):
        problem = next(sources[domain])
        worked = TOYS[problem.domain].careful(problem).split("\\boxed")[0].split("\n```")[0]
        joint = "" if problem.domain == "math" else ":"
        yield f"{problem.question.removesuffix('?')}{joint}", worked
