"""Toy science: a formula and the numbers to put in; the last digit of the result is asked for."""

from dataclasses import dataclass
from random import Random

from reference_trainer.tasks.arithmetic import steps
from reference_trainer.tasks.problem import MODULUS, ToyProblem, boxed


@dataclass(frozen=True, slots=True)
class _Formula:
    """``result`` = [``addend`` +] the product of ``factors``."""

    result: str
    factors: str
    addend: str = ""

    @property
    def text(self) -> str:
        product = "*".join(self.factors)
        return f"{self.result}={self.addend}+{product}" if self.addend else f"{self.result}={product}"


_FORMULAS = {
    1: _Formula("p", "mv"),  # momentum
    2: _Formula("v", "at", "u"),  # speed under constant acceleration
    3: _Formula("q", "mcd"),  # heat for a difference of temperature
    4: _Formula("e", "mgh", "k"),  # kinetic and potential energy
}


class Formulas:
    """One formula a level; products are multiplied out first, one factor a step, each modulo 10."""

    levels = (1, 2, 3, 4)

    def draw(self, level: int, random: Random) -> ToyProblem:
        """See ``ToyDomain``."""
        formula = _FORMULAS[level]
        factors = [random.randrange(MODULUS) for _ in formula.factors]
        addend = [random.randrange(MODULUS) for _ in formula.addend]
        given = zip(formula.addend + formula.factors, [*addend, *factors], strict=True)
        question = f"{formula.text},{','.join(f'{name}={value}' for name, value in given)}"
        canonical = f"{formula.text}:{addend}:{sorted(factors)}"  # factors commute
        return ToyProblem("science", question, canonical, level, _chain(addend, factors)[-1])

    def careful(self, problem: ToyProblem) -> str:
        """See ``ToyDomain``."""
        formula = _FORMULAS[problem.level]
        values = [int(part[2]) for part in problem.question.split(",")[1:]]
        addend, factors = values[: len(formula.addend)], values[len(formula.addend) :]
        return f"{formula.result}={'='.join(_chain(addend, factors))}{boxed(problem.answer)}"

    def hasty(self, problem: ToyProblem, random: Random) -> str:
        """See ``ToyDomain``."""
        return boxed(str(random.randrange(MODULUS)))


def _chain(addend: list[int], factors: list[int]) -> list[str]:
    """The right-hand side with numbers put in, and after each operation; the value last."""
    product = "*".join(map(str, factors))
    parts = [product, *steps(product)]
    if not addend:
        return parts
    total = (addend[0] + int(parts[-1])) % MODULUS
    return [*(f"{addend[0]}+{part}" for part in parts), str(total)]
