"""The trainings that the five experiments are made of; what two of them need is trained once."""

from reference_trainer.claims.lab import Arm, Lab
from reference_trainer.select import Candidate, choose

STEPS, LONG = 40, 80
"""Iterations of one stage of the toy, and of two."""


def candidates(lab: Lab, seed: int) -> list[Candidate]:
    """The epochs of a seed's distillation; the pass rate is that of mathematics, which stage 1 trains."""
    return [Candidate(row["epoch"], row["entropy"], row["pass_rates"]["math"]) for row in lab.candidates(seed)]


def chosen_epoch(lab: Lab, seed: int) -> int:
    """By the entropy band."""
    return choose(candidates(lab, seed), lab.recipe.select).epoch


def from_epoch(epoch: int) -> Arm:
    """Stage 1 from an epoch of the distillation."""
    return Arm(f"arm-math-from-{epoch}", epoch, ("math",), STEPS)


def long_arm(loss: str, epoch: int) -> Arm:
    """Twice as many iterations on mathematics under an objective."""
    return Arm(f"arm-{loss}-long", epoch, ("math",), LONG, loss)


def code_alone(epoch: int) -> Arm:
    """Code alone, as many iterations as stage 1."""
    return Arm("arm-code", epoch, ("code",), STEPS)


def mixed(epoch: int) -> Arm:
    """All three domains at once, as many iterations as both stages."""
    return Arm("arm-mixed", epoch, ("math", "code", "science"), LONG)


def math_and_code(epoch: int) -> Arm:
    """Mathematics and code at once, as many iterations as each has alone together."""
    return Arm("arm-math-code", epoch, ("math", "code"), LONG)


def second_stage(epoch: int) -> Arm:
    """Code and science after mathematics."""
    return Arm("arm-second-stage", from_epoch(epoch), ("code", "science"), STEPS)
