"""The five findings of the paper as claims that can fail, at the toy's scale."""

from reference_trainer.claims.claim import Claim, Outcome, Part
from reference_trainer.claims.lab import Lab
from reference_trainer.claims.ledger import CLAIMS, prove, table

__all__ = ["CLAIMS", "Claim", "Lab", "Outcome", "Part", "prove", "table"]
