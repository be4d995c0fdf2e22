"""Eq. 3 of Ring-lite (arXiv 2506.14731): which tokens of a step enter the gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import UsageError
from reference_trainer.config import FillOrder, LastResponse, UnderFill


@dataclass(frozen=True)
class Selection:
    """The set Psi of one optimiser step.

    Attributes:
        kept: [N] int64, leading tokens k_i of each response that are in Psi, in the order of the responses given.
        divisor: What every token's term is divided by: Phi (times the number of units), or |Psi| when renormalised.
        budget: Phi times the number of units, in tokens.
        available: Share of Phi that the emptiest unit was offered, at most 1; below it the budget is under-filled.
    """

    kept: Tensor
    divisor: float
    budget: int
    available: float = 1.0

    @property
    def tokens(self) -> int:
        """|Psi|."""
        return int(self.kept.sum())

    @property
    def fill(self) -> float:
        """|Psi| / Phi."""
        return self.tokens / self.budget


def fill_budget(lengths: Tensor, budget: int, last_response: LastResponse = "truncate") -> Tensor:
    """Eq. 3: the greedy pass over responses of |y_1|, |y_2|, ... tokens in this order.

    N <= |B|, sum_{j<N} |y_j| < Phi, sum_{j<=N} |y_j| >= Phi; k_i = min(|y_i|, Phi - sum_{j<i} k_j), so that all before
    response N are whole, N keeps its leading tokens, and all after N are dropped.

    Args:
        lengths: [N] generated tokens with the end token, never the prompt; 0 takes a response out.
        budget: Phi >= 1.
        last_response: ``truncate`` cuts response N at Phi, ``keep`` keeps it whole, ``drop`` leaves it out if it does
            not fit.

    Returns:
        [N] int64, k_i with 0 <= k_i <= |y_i|.
    """
    before = lengths.cumsum(0) - lengths
    kept = torch.minimum(lengths, (budget - before).clamp(min=0))
    if last_response == "truncate":
        return kept
    whole = kept > 0 if last_response == "keep" else kept == lengths
    return torch.where(whole, lengths, torch.zeros_like(lengths))


def select_tokens(
    lengths: Tensor,
    budget: int | None,
    *,
    order: Tensor | None = None,
    units: Tensor | None = None,
    last_response: LastResponse = "truncate",
    under_fill: UnderFill = "divide_phi",
) -> Selection:
    """Fills one budget, or one for each unit (rank or mini-batch), and says what to divide by.

    Args:
        lengths: [N] generated tokens of each response; 0 takes a response out.
        budget: Phi of one unit; None takes every token and divides by their number.
        order: [N] permutation; the greedy pass visits ``order[0], order[1], ...``. None is the order given.
        units: [N] unit number 0, 1, ... of each response; None is one unit.
        last_response: See ``fill_budget``.
        under_fill: With fewer than Phi tokens ``divide_phi`` keeps the divisor, ``renormalise`` divides by |Psi|,
            ``error`` raises; ``resample`` is answered by the caller, who samples more, and keeps the divisor here.

    Raises:
        UsageError: No response, or too few tokens under ``under_fill: error``.
    """
    if lengths.numel() == 0:
        raise UsageError("no response to select tokens from: sample at least one prompt in a step")
    if budget is None:
        total = int(lengths.sum())
        return Selection(lengths.clone(), float(max(total, 1)), max(total, 1))
    order = torch.arange(len(lengths)) if order is None else order
    units = (torch.zeros_like(lengths) if units is None else units)[order]
    kept, offered = torch.zeros_like(lengths), []
    for members in (order[units == number] for number in sorted(set(units.tolist()))):
        kept[members] = fill_budget(lengths[members], budget, last_response)
        offered.append(int(lengths[members].sum()))
    if under_fill == "error" and min(offered) < budget:
        _refuse_to_underfill(min(offered), budget)
    phi, total = budget * len(offered), int(kept.sum())
    divisor = float(total) if under_fill == "renormalise" and 0 < total < phi else float(phi)
    return Selection(kept, divisor, phi, min(1.0, min(offered) / budget))


def _refuse_to_underfill(available: int, budget: int) -> None:
    raise UsageError(
        f"{available} generated tokens do not fill a token_budget of {budget}: lower token_budget, sample more "
        "responses, or set under_fill to divide_phi, renormalise or resample"
    )


def fill_order(prompts: int, responses: int, order: FillOrder, generator: torch.Generator) -> Tensor:
    """The order of the greedy pass over ``prompts`` groups of ``responses`` responses each.

    Never that of completion (short answers finish first) and never sorted: both would select on length.

    Returns:
        [prompts * responses] permutation; identity for ``batch``, which draws nothing from ``generator``.
    """
    index = torch.arange(prompts * responses)
    if order == "shuffled_groups":
        return index.view(prompts, responses)[torch.randperm(prompts, generator=generator)].reshape(-1)
    if order == "shuffled_responses":
        return torch.randperm(prompts * responses, generator=generator)
    return index
