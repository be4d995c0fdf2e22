"""Eq. 5 of Ring-lite (arXiv 2506.14731): load-balance and z-loss of the routers, computed over a whole update.

Both are per layer, then the mean over layers. ``load_balancing_loss_func`` of transformers pools the layers and has the
value k at uniform instead of 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reference_trainer.config import BalanceForm, ExpertLoad


@dataclass(frozen=True)
class RouterSums:
    """Sums over the tokens of a micro-batch; those of micro-batches and ranks add up.

    Attributes:
        probabilities: [layers, N_e] sum over tokens of the router probabilities; carries the gradient.
        counts: [layers, N_e] assignments c_i of each expert, constant.
        z: [layers] sum over tokens of (logsumexp of the router logits)^2; carries the gradient.
        entropy: [layers] sum over tokens of the entropy of the router's distribution, constant.
        tokens: M.
    """

    probabilities: Tensor
    counts: Tensor
    z: Tensor
    entropy: Tensor
    tokens: int

    def detach(self) -> "RouterSums":
        """The same sums without their graph."""
        return RouterSums(self.probabilities.detach(), self.counts, self.z.detach(), self.entropy, self.tokens)

    @staticmethod
    def add(parts: "Sequence[RouterSums]") -> "RouterSums | None":
        """The sums of all parts together; None for no part."""
        if not parts:
            return None
        return RouterSums(
            torch.stack([part.probabilities for part in parts]).sum(0),
            torch.stack([part.counts for part in parts]).sum(0),
            torch.stack([part.z for part in parts]).sum(0),
            torch.stack([part.entropy for part in parts]).sum(0),
            sum(part.tokens for part in parts),
        )


def router_sums(router_logits: Sequence[Tensor], counted: Tensor, top_k: int) -> RouterSums:
    """Sums of one micro-batch from the router logits of each mixture-of-experts layer.

    Args:
        router_logits: One [tokens, N_e] (or [B, T, N_e]) tensor a layer.
        counted: [tokens] (or [B, T]) bool, the tokens that Eq. 5 averages over; padding never is.
        top_k: Experts a token.
    """
    mask = counted.reshape(-1)
    # Rows are picked, not multiplied by 0: whatever stands at padding never enters.
    layers = [logits.reshape(-1, logits.shape[-1])[mask] for logits in router_logits]
    stacked = torch.stack([layer if layer.dtype == torch.float64 else layer.float() for layer in layers])
    log_z = stacked.logsumexp(-1)
    probabilities = stacked.softmax(-1)
    chosen = stacked.detach().topk(top_k, dim=-1).indices.flatten(1)
    counts = stacked.new_zeros(stacked.shape[0], stacked.shape[-1])
    counts = counts.scatter_add(1, chosen, torch.ones_like(chosen, dtype=counts.dtype))
    with torch.no_grad():
        entropy = log_z - (probabilities * stacked).sum(-1)
    return RouterSums(probabilities.sum(1), counts, log_z.square().sum(1), entropy.sum(1), int(mask.sum()))


def expert_load(counts: Tensor, load: ExpertLoad = "fraction") -> Tensor:
    """F_i of Eq. 5: the share c_i / (k M) of the assignments, [layers, N_e] with rows that sum to 1, or the raw c_i."""
    return counts / counts.sum(-1, keepdim=True) if load == "fraction" else counts


def balance_loss(probabilities: Tensor, load: Tensor, tokens: int, form: BalanceForm = "switch") -> Tensor:
    """Eq. 5: B = N_e sum_i P_i F_i for each layer, then the mean over layers.

    F is the load of the whole update and constant, so B is linear in P: the values and gradients of micro-batches, each
    with its own ``probabilities`` and the update's ``load`` and ``tokens``, sum to those of the update.

    Args:
        probabilities: [layers, N_e] sum of router probabilities over the tokens of a micro-batch.
        load: [layers, N_e] F of the whole update (``expert_load``).
        tokens: M of the whole update.
        form: ``switch`` as above; ``literal`` is 1/N_e sum_i P_i F_i N_e, N_e times smaller.

    Returns:
        Scalar; for ``switch`` and fractions exactly 1 where P is uniform.
    """
    experts = probabilities.shape[-1]
    factor = experts if form == "switch" else experts / experts
    return (factor * (probabilities / tokens * load).sum(-1)).mean()


def z_loss(z: Tensor, tokens: int) -> Tensor:
    """Eq. 5: Z = 1/M sum_tokens (log sum_j exp z_j)^2 for each layer, then the mean over layers; additive.

    Args:
        z: [layers] sums of a micro-batch (``RouterSums.z``).
        tokens: M of the whole update.
    """
    return (z / tokens).mean()
