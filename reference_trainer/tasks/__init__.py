"""Toy domains: mathematics, code and science with generators, teachers, disjoint sets and a verifier."""

from reference_trainer.tasks.problem import DOMAINS, SPLITS, Domain, Split, ToyProblem, split_of
from reference_trainer.tasks.problems import draw_problems, problem_set
from reference_trainer.tasks.teacher import EQUAL_SHARES, HASTY_SHARE, Demonstration, demonstrate, demonstrations
from reference_trainer.tasks.verifier import Attempt, Verifier, VerifierReward, toy_gold

__all__ = [
    "DOMAINS",
    "EQUAL_SHARES",
    "HASTY_SHARE",
    "SPLITS",
    "Attempt",
    "Demonstration",
    "Domain",
    "Split",
    "ToyProblem",
    "Verifier",
    "VerifierReward",
    "demonstrate",
    "demonstrations",
    "draw_problems",
    "problem_set",
    "split_of",
    "toy_gold",
]
