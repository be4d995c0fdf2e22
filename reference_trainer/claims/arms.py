"""The trainings that the five experiments are made of; what two of them need is trained once."""

from reference_trainer.claims.lab import Arm, Lab
from reference_trainer.select import Candidate, choose


def candidates(lab: Lab, seed: int) -> list[Candidate]:
    """The epochs of a seed's distillation; the pass rate is that of mathematics, which stage 1 trains."""
    return [Candidate(row["epoch"], row["entropy"], row["pass_rates"]["math"]) for row in lab.candidates(seed)]


def chosen_epoch(lab: Lab, seed: int) -> int:
    """By the entropy band."""
    return choose(candidates(lab, seed), lab.recipe.select).epoch


def from_epoch(lab: Lab, epoch: int) -> Arm:
    """Stage 1 from an epoch of the distillation."""
    return Arm(f"arm-math-from-{epoch}", epoch, ("math",), lab.steps)


def long_arm(lab: Lab, loss: str, epoch: int) -> Arm:
    """Twice as many iterations on mathematics under an objective."""
    return Arm(f"arm-{loss}-long", epoch, ("math",), 2 * lab.steps, loss)


def code_alone(lab: Lab, epoch: int) -> Arm:
    """Code alone, as many iterations as stage 1."""
    return Arm("arm-code", epoch, ("code",), lab.steps)


def mixed(lab: Lab, epoch: int) -> Arm:
    """All three domains at once, as many iterations as both stages."""
    return Arm("arm-mixed", epoch, ("math", "code", "science"), 2 * lab.steps)


def math_and_code(lab: Lab, epoch: int) -> Arm:
    """Mathematics and code at once, as many iterations as each has alone together."""
    return Arm("arm-math-code", epoch, ("math", "code"), 2 * lab.steps)


def second_stage(lab: Lab, epoch: int) -> Arm:
    """Code and science after mathematics."""
    return Arm("arm-second-stage", from_epoch(lab, epoch), ("code", "science"), lab.steps)
