"""The objective of Ring-lite (arXiv 2506.14731), one function an equation, pure tensors in and out.

Eq. 1 ``grpo.grpo_loss`` and ``advantages.group_advantages``; Eq. 2 ``c3po.c3po_loss``; Eq. 3 ``budget.fill_budget``;
Eq. 4 ``entropy.token_entropy``; Eq. 5 ``router.balance_loss`` and ``router.z_loss``; Eq. 6 ``total.total_loss``.
"""

from reference_trainer.objective.advantages import group_advantages, zero_variance_groups
from reference_trainer.objective.budget import Selection, fill_budget, fill_order, select_tokens
from reference_trainer.objective.c3po import c3po_loss
from reference_trainer.objective.entropy import entropy_term, token_entropy, token_logprobs
from reference_trainer.objective.grpo import PolicyTokens, clipped_tokens, grpo_loss, token_objective
from reference_trainer.objective.importance import truncated_importance
from reference_trainer.objective.kl import kl_per_token
from reference_trainer.objective.router import RouterSums, balance_loss, expert_load, router_sums, z_loss
from reference_trainer.objective.sft import sft_loss
from reference_trainer.objective.total import total_loss

__all__ = [
    "PolicyTokens",
    "RouterSums",
    "Selection",
    "balance_loss",
    "c3po_loss",
    "clipped_tokens",
    "entropy_term",
    "expert_load",
    "fill_budget",
    "fill_order",
    "group_advantages",
    "grpo_loss",
    "kl_per_token",
    "router_sums",
    "select_tokens",
    "sft_loss",
    "token_entropy",
    "token_logprobs",
    "token_objective",
    "total_loss",
    "truncated_importance",
    "z_loss",
    "zero_variance_groups",
]
