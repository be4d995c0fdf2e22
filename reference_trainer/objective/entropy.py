"""Eq. 4 of Ring-lite (arXiv 2506.14731): the entropy of the policy over the full vocabulary, and its log-probs."""

import torch
from torch import Tensor


def token_logprobs(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """log pi(target | prefix) at the sampling temperature: the log-softmax of logits / temperature at ``targets``.

    Args:
        logits: [..., V]; half precisions are widened to float32.
        targets: [...] int64 token ids in [0, V).
        temperature: That of the rollout.

    Returns:
        [...], float32 or wider.
    """
    scaled = _wide(logits) / temperature
    return scaled.gather(-1, targets[..., None]).squeeze(-1) - scaled.logsumexp(-1)


def token_entropy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Eq. 4: H = - sum_v pi(v | prefix) log pi(v | prefix), the full softmax at the sampling temperature.

    Computed as logsumexp(s) - sum_v softmax(s)_v s_v on logits shifted by their maximum, which stays finite for logits
    of minus infinity.

    Args:
        logits: [..., V].
        temperature: That of the rollout.

    Returns:
        [...] in nats, in [0, log V], float32 or wider.
    """
    scaled = _wide(logits) / temperature
    shifted = scaled - scaled.amax(-1, keepdim=True).detach()
    probabilities = shifted.softmax(-1)
    return shifted.logsumexp(-1) - (probabilities * shifted.masked_fill(shifted == -torch.inf, 0)).sum(-1)


def entropy_term(entropy: Tensor, selected: Tensor, budget: float) -> Tensor:
    """The H of Eq. 6: 1/Phi sum over Psi of the per-token entropies; additive over micro-batches.

    Args:
        entropy: [B, T] from ``token_entropy``.
        selected: [B, T] bool, the tokens in Psi.
        budget: Phi of the whole update.
    """
    return entropy.masked_fill(~selected, 0).sum() / budget


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
