"""The supervised loss of the distillation stages, normalised like Eq. 2 so that accumulation changes nothing."""

from torch import Tensor


def sft_loss(logprobs: Tensor, selected: Tensor, tokens: float) -> Tensor:
    """L = - 1/N sum log pi(y_t | y_<t) over the target tokens; additive over micro-batches.

    Args:
        logprobs: [B, T] log-probabilities of the target tokens.
        selected: [B, T] bool, false at padding.
        tokens: N, target tokens of the whole update.
    """
    return -logprobs.masked_fill(~selected, 0).sum() / tokens
