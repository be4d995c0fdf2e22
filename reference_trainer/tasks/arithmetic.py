"""Toy mathematics: expressions of 2 to 6 digits, evaluated from left to right, modulo 10."""

from random import Random

from reference_trainer.tasks.problem import MODULUS, ToyProblem, boxed

_OPERATORS = "+-*"


class Arithmetic:
    """Level l has l + 1 operands; the careful teacher rewrites what is left of the expression at each step."""

    levels = (1, 2, 3, 4, 5)

    def draw(self, level: int, random: Random) -> ToyProblem:
        """See ``ToyDomain``."""
        digits = [random.randrange(MODULUS) for _ in range(level + 1)]
        operators = [random.choice(_OPERATORS) for _ in range(level)]
        expression = _join(digits, operators)
        first = digits
        if operators[0] in "+*":  # the first pair may be swapped without another step changing
            first = [*sorted(digits[:2]), *digits[2:]]
        answer = steps(expression)[-1]
        return ToyProblem("math", f"{expression}=?", _join(first, operators), level, answer)

    def careful(self, problem: ToyProblem) -> str:
        """See ``ToyDomain``."""
        return "=".join(steps(problem.question.removesuffix("=?"))) + boxed(problem.answer)

    def hasty(self, problem: ToyProblem, random: Random) -> str:
        """See ``ToyDomain``."""
        return boxed(str(random.randrange(MODULUS)))


def steps(expression: str) -> list[str]:
    """The expression after each operation, the value last: ``3+4*7`` gives ``7*7`` and ``9``."""
    digits, operators = [int(digit) for digit in expression[::2]], list(expression[1::2])
    written = []
    while operators:
        value = _apply(operators.pop(0), digits[0], digits[1])
        digits = [value, *digits[2:]]
        written.append(_join(digits, operators))
    return written


def _apply(operator: str, left: int, right: int) -> int:
    value = {"+": left + right, "-": left - right, "*": left * right}[operator]
    return value % MODULUS


def _join(digits: list[int], operators: list[str]) -> str:
    rest = (f"{operator}{digit}" for operator, digit in zip(operators, digits[1:], strict=True))
    return f"{digits[0]}{''.join(rest)}"
