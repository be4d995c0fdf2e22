"""Adds up the metrics of one update over its micro-batches and ranks, all with one weighting: the mean over Psi."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reference_trainer.config import ObjectiveConfig
from reference_trainer.objective import (
    PolicyTokens,
    RouterSums,
    balance_loss,
    clipped_tokens,
    expert_load,
    kl_per_token,
    z_loss,
)

LOSSES = ("loss", "policy_loss")  # already divided by constants of the update; the others are sums over tokens
TOKEN_SUMS = ("entropy", "kl", "clip_share", "logprob_mismatch")
ROUTER = ("balance_loss", "z_loss", "router_entropy", "expert_imbalance", "expert_load")


class Tally:
    """Running sums of one update. The means of TOKEN_SUMS weigh every token of Psi alike under every loss."""

    def __init__(self, objective: ObjectiveConfig):
        self.objective = objective
        self.gradient_norm: float | None = None
        self._sums: dict[str, Tensor] = {}
        self._router: list[RouterSums] = []

    @torch.no_grad()
    def add(
        self,
        loss: Tensor,
        policy_loss: Tensor,
        entropy: Tensor,
        tokens: PolicyTokens,
        sampling_logprobs: Tensor | None,
        router: RouterSums | None,
    ) -> None:
        """Adds one micro-batch; ``entropy`` [B, T] is that of each token, ``router`` None for a dense model."""
        objective, selected = self.objective, tokens.selected
        clipped = clipped_tokens(tokens, clip_low=objective.clip_low, clip_high=objective.clip_high)
        values = {"loss": loss, "policy_loss": policy_loss, "clip_share": clipped.sum()}
        values["entropy"] = entropy[selected].sum()
        if tokens.reference_logprobs is not None:
            kl = kl_per_token(tokens.logprobs, tokens.reference_logprobs, objective.kl_estimator)
            values["kl"] = kl[selected].sum()
        if sampling_logprobs is not None:
            values["logprob_mismatch"] = (tokens.old_logprobs - sampling_logprobs)[selected].abs().sum()
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), dtype=torch.float64)) + value.double().cpu()
        if router is not None:
            self._router.append(router.detach())

    def metrics(self, tokens: int, sum_over_ranks: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """The figures of the update; None where one is undefined (no reference, no sampling log-probs, no token).

        ``logprob_mismatch`` is the mean of abs(log pi_old - log pi_sampler). ``expert_load`` has each layer's shares of
        the assignments, ``expert_imbalance`` the largest share times N_e (1 is even), mean over layers;
        ``router_entropy`` is in nats, mean over tokens and layers. Ranks may differ in what they have seen, but all
        make the same calls of ``sum_over_ranks``.
        """
        names = (*LOSSES, *TOKEN_SUMS)
        seen = torch.tensor([float(name in self._sums) for name in names], dtype=torch.float64)
        sums = torch.stack([self._sums.get(name, torch.zeros((), dtype=torch.float64)) for name in names])
        sums, seen = sum_over_ranks(torch.stack([sums, seen]))
        figures: dict[str, Any] = {}
        for name, value, known in zip(names, sums.tolist(), seen.tolist(), strict=True):
            figures[name] = None if not known else value if name in LOSSES else value / tokens
        figures["gradient_norm"] = self.gradient_norm
        figures["tokens_trained"] = tokens
        return figures | self._router_metrics(sum_over_ranks)

    def _router_metrics(self, sum_over_ranks: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        sums = RouterSums.add(self._router)
        if sums is None:
            return dict.fromkeys(ROUTER)
        layers, experts = sums.counts.shape
        count = torch.full((layers, 1), float(sums.tokens))
        columns = [
            sums.probabilities.cpu(),
            sums.counts.cpu(),
            sums.z[:, None].cpu(),
            sums.entropy[:, None].cpu(),
            count,
        ]
        total = sum_over_ranks(torch.cat([column.double() for column in columns], dim=1))
        probabilities, counts, z, entropy, seen = total.split_with_sizes([experts, experts, 1, 1, 1], dim=1)
        objective, number = self.objective, int(seen[0])
        load = expert_load(counts)
        weighted = expert_load(counts, objective.expert_load)
        return {
            "balance_loss": float(balance_loss(probabilities, weighted, number, objective.balance_form)),
            "z_loss": float(z_loss(z[:, 0], number)),
            "router_entropy": float((entropy / number).mean()),
            "expert_imbalance": float(load.amax(-1).mean()) * experts,
            "expert_load": load.tolist(),
        }
