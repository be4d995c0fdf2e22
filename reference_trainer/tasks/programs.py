"""Toy code: two input/output pairs of f(x) = (a x + b) mod 10 are shown, and a program for f is asked for."""

from random import Random

from reference_trainer.tasks.problem import MODULUS, ToyProblem

ENTRY_POINT = "f"
_HIDDEN_CASES, _LARGEST_INPUT = 8, 99
_INVERSES = {1: 1, 3: 7, 7: 3, 9: 9}  # only these differences of inputs determine the slope modulo 10
_DIFFERENCES = {1: (1,), 2: (9,), 3: (3, 7)}


class Programs:
    """Levels by the difference of the two inputs modulo 10: 1; 9; 3 or 7.

    Hidden inputs go up to 99 and are the same whenever the question is drawn; none of them is shown.
    """

    levels = (1, 2, 3)

    def draw(self, level: int, random: Random) -> ToyProblem:
        """See ``ToyDomain``."""
        a, b, x = (random.randrange(MODULUS) for _ in range(3))
        z = (x + random.choice(_DIFFERENCES[level])) % MODULUS
        return problem_of(a, b, x, z, level)

    def careful(self, problem: ToyProblem) -> str:
        """See ``ToyDomain``."""
        (x, y), (z, w) = shown(problem.question)
        run, rise = (z - x) % MODULUS, (w - y) % MODULUS
        a = rise * _INVERSES[run] % MODULUS
        product = a * x % MODULUS
        b = (y - product) % MODULUS
        differences = f"{z}-{x}={run},{w}-{y}={rise}"
        return f"{differences},{run}a={rise},a={a},{a}*{x}={product},{y}-{product}={b}{_fenced(a, b)}"

    def hasty(self, problem: ToyProblem, random: Random) -> str:
        """See ``ToyDomain``."""
        return _fenced(random.randrange(MODULUS), random.randrange(MODULUS)).lstrip("\n")


def problem_of(a: int, b: int, x: int, z: int, level: int) -> ToyProblem:
    """The problem that shows f(x) and f(z) of f = a x + b modulo 10."""
    pairs = [(point, (a * point + b) % MODULUS) for point in (x, z)]
    question = ",".join(f"f({point})={value}" for point, value in pairs)
    canonical = ",".join(f"f({point})={value}" for point, value in sorted(pairs))
    inputs = Random(canonical).sample([i for i in range(_LARGEST_INPUT + 1) if i not in (x, z)], _HIDDEN_CASES)
    cases = tuple((i, (a * i + b) % MODULUS) for i in inputs)
    return ToyProblem("code", question, canonical, level, program(a, b), cases)


def shown(question: str) -> list[tuple[int, int]]:
    """The (input, output) pairs in a question."""
    return [(int(pair[2]), int(pair[5])) for pair in question.split(",")]


def program(a: int, b: int) -> str:
    """Source of f."""
    return f"def {ENTRY_POINT}(x):return ({a}*x+{b})%{MODULUS}"


def _fenced(a: int, b: int) -> str:
    return f"\n```\n{program(a, b)}\n```"
