"""Ring-lite's Eq. 1 to 6 (arXiv 2506.14731) a second time, straight from the paper, in float64, one way and slowly.

Nothing here is shared with ``objective`` or ``engine``: sequences are never padded, whole logits are kept, every sum
runs over the whole update, and gradients are those of one graph. A fault of the production code is a difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reference_trainer.config import ObjectiveConfig


@dataclass(frozen=True)
class PlainSequence:
    """One sequence of an update: prompt, the kept tokens of its response, and what belongs to them.

    ``whole`` is abs(y_i) before any cut; ``old`` and ``sampled`` are log-probabilities of the kept tokens, or None.
    """

    prompt: Sequence[int]
    kept: Sequence[int]
    whole: int
    advantage: float
    old: Sequence[float] | None = None
    sampled: Sequence[float] | None = None


@dataclass(frozen=True)
class PlainTerms:
    """The terms of Eq. 6 with their graphs, and what the metrics of an update say of it."""

    policy: Tensor
    entropy: Tensor  # H of Eq. 6: divided by Phi
    balance: Tensor
    z: Tensor
    mean_entropy: float
    kl: float
    logprobs: list[Tensor]

    def total(self, objective: ObjectiveConfig) -> Tensor:
        """Eq. 6; the entropy is a bonus unless the objective wants it as printed."""
        bonus = -objective.entropy_coefficient if objective.entropy_sign == "bonus" else objective.entropy_coefficient
        return (
            self.policy
            + bonus * self.entropy
            + objective.balance_coefficient * self.balance
            + objective.z_coefficient * self.z
        )


def plain_advantages(rewards: Sequence[float], std: str) -> list[float]:
    """A_i = (R_i - mean R) / std R over all K responses of one prompt."""
    if all(reward == rewards[0] for reward in rewards):
        return [0.0] * len(rewards)
    mean = math.fsum(rewards) / len(rewards)
    squares = math.fsum((reward - mean) ** 2 for reward in rewards)
    spread = math.sqrt(squares / (len(rewards) - (0 if std == "population" else 1)))
    if std == "unbiased_epsilon":
        spread += 1e-4
    return [(reward - mean) / spread for reward in rewards]


def plain_cut(lengths: Sequence[int], phi: int, last: str = "truncate") -> list[int]:
    """Eq. 3: responses in order until Phi tokens are there; the one that crosses Phi keeps its leading tokens."""
    kept, left = [], phi
    for length in lengths:
        taken = min(length, left)
        if 0 < taken < length and last != "truncate":
            taken = length if last == "keep" else 0
            left = 0
        kept.append(taken)
        left = max(0, left - taken)
    return kept


def plain_terms(
    model: Any,
    reference: Any,
    sequences: Sequence[PlainSequence],
    *,
    divisor: float,
    responses: int,
    objective: ObjectiveConfig,
    temperature: float,
) -> PlainTerms:
    """The terms of one update.

    Args:
        model: The policy, in float64.
        reference: pi_ref, in float64; None without a KL term.
        sequences: Those of the update.
        divisor: Phi (for ``sft`` the number of target tokens).
        responses: L K, for Eq. 1.
        objective: Its switches.
        temperature: Of the sampling.
    """
    policy: list[Tensor] = []
    entropies: list[Tensor] = []
    kls: list[Tensor] = []
    routers: list[list[Tensor]] = []
    logprobs: list[Tensor] = [torch.empty(0)] * len(sequences)
    for members in _of_equal_size(sequences):
        scored = _score(model, [sequences[i] for i in members], temperature, objective)
        with torch.no_grad():
            anchor = _score(reference, [sequences[i] for i in members], temperature, objective) if reference else None
        routers += scored.routers
        for place, number in enumerate(members):
            sequence, logp = sequences[number], scored.logprobs[place]
            logprobs[number] = logp.detach()
            entropies.append(scored.entropies[place])
            terms, kl = _token_terms(sequence, logp, None if anchor is None else anchor.logprobs[place], objective)
            kls.append(kl)
            policy.append(_weighted(terms, sequence, divisor, responses, objective))
    tokens = sum(len(sequence.kept) for sequence in sequences)
    balance, z = _router_losses(routers, objective, int(model.config.num_experts_per_tok or 1))
    every = torch.cat(entropies)
    return PlainTerms(
        policy=torch.stack(policy).sum(),
        entropy=every.sum() / divisor,
        balance=balance,
        z=z,
        mean_entropy=float(every.detach().sum()) / tokens,
        kl=float(torch.cat(kls).detach().sum()) / tokens,
        logprobs=logprobs,
    )


@dataclass(frozen=True)
class _Scored:
    logprobs: list[Tensor]
    entropies: list[Tensor]
    routers: list[list[Tensor]]  # one list of layers a sequence, [counted tokens, experts] each


def _of_equal_size(sequences: Sequence[PlainSequence]) -> list[list[int]]:
    """Numbers of the sequences, grouped so that a group needs no padding."""
    groups: dict[int, list[int]] = {}
    for number, sequence in enumerate(sequences):
        groups.setdefault(len(sequence.prompt) + len(sequence.kept), []).append(number)
    return list(groups.values())


def _score(model: Any, rows: Sequence[PlainSequence], temperature: float, objective: ObjectiveConfig) -> _Scored:
    ids = torch.tensor([[*row.prompt, *row.kept] for row in rows])
    routed = bool(getattr(model.config, "num_experts", None))
    output = model(input_ids=ids, use_cache=False, **({"output_router_logits": True} if routed else {}))
    every = torch.log_softmax(output.logits.double() / temperature, dim=-1)
    logprobs, entropies = [], []
    for row, table, tokens in zip(rows, every, ids, strict=True):
        begin = len(row.prompt)
        seen = table[begin - 1 : -1]  # position t - 1 predicts token t
        logprobs.append(seen[torch.arange(len(row.kept)), tokens[begin:]])
        entropies.append(-(seen.exp() * seen).sum(-1))
    layers = [layer.view(*ids.shape, -1) for layer in (output.router_logits if routed else ()) or ()]
    begins = [len(row.prompt) if objective.router_tokens == "response" else 0 for row in rows]
    routers = [[layer[place, begin:] for layer in layers] for place, begin in enumerate(begins)]
    return _Scored(logprobs, entropies, routers)


def _token_terms(
    sequence: PlainSequence, logp: Tensor, anchor: Tensor | None, objective: ObjectiveConfig
) -> tuple[Tensor, Tensor]:
    """min(r A, clip(r) A) - beta KL of each token, and the KL alone."""
    old = logp.detach() if sequence.old is None else torch.tensor(list(sequence.old), dtype=torch.float64)
    ratio = torch.exp(logp - old)
    low, high = 1 - objective.clip_low, 1 + objective.clip_high
    gain = torch.where(ratio < low, low, torch.where(ratio > high, high, ratio)) * sequence.advantage
    terms = torch.where(ratio * sequence.advantage < gain, ratio * sequence.advantage, gain)
    if objective.importance_sampling == "truncated" and sequence.sampled is not None:
        weight = torch.exp(old - torch.tensor(list(sequence.sampled), dtype=torch.float64))
        terms = terms * torch.where(weight > objective.importance_cap, objective.importance_cap, weight)
    if anchor is None:
        return terms, torch.zeros_like(logp)
    log_ratio = anchor - logp  # log of pi_ref / pi
    kl = {"k1": -log_ratio, "k2": 0.5 * log_ratio**2, "k3": torch.exp(log_ratio) - 1 - log_ratio}[
        objective.kl_estimator
    ]
    return terms - objective.kl_coefficient * kl, kl


def _weighted(
    terms: Tensor, sequence: PlainSequence, divisor: float, responses: int, objective: ObjectiveConfig
) -> Tensor:
    """What one sequence adds to the loss."""
    if objective.loss == "grpo":
        return -terms.sum() / sequence.whole / responses
    return -terms.sum() / divisor


def plain_sft(model: Any, sequences: Sequence[PlainSequence], temperature: float = 1.0) -> PlainTerms:
    """The terms of a supervised update: the mean negative log-likelihood of all target tokens."""
    objective = ObjectiveConfig(loss="sft", token_budget=None, kl_coefficient=0, entropy_coefficient=0)
    targets = sum(len(sequence.kept) for sequence in sequences)
    rows: list[Tensor] = []
    entropies: list[Tensor] = []
    routers: list[list[Tensor]] = []
    logprobs: list[Tensor] = [torch.empty(0)] * len(sequences)
    for members in _of_equal_size(sequences):
        scored = _score(model, [sequences[i] for i in members], temperature, objective)
        routers += scored.routers
        rows += scored.logprobs
        entropies += scored.entropies
        for place, number in enumerate(members):
            logprobs[number] = scored.logprobs[place].detach()
    balance, z = _router_losses(routers, objective, int(model.config.num_experts_per_tok or 1))
    every = torch.cat(entropies)
    return PlainTerms(
        policy=-torch.cat(rows).sum() / targets,
        entropy=every.sum() / targets,
        balance=balance,
        z=z,
        mean_entropy=float(every.detach().mean()),
        kl=0.0,
        logprobs=logprobs,
    )


def _router_losses(routers: list[list[Tensor]], objective: ObjectiveConfig, top_k: int) -> tuple[Tensor, Tensor]:
    """Eq. 5 over all tokens of the update: for each layer, then the mean over layers."""
    balances, zs = [], []
    for rows in zip(*routers, strict=True):
        logits = torch.cat(list(rows)).double()
        tokens, experts = logits.shape
        shares = torch.softmax(logits, dim=-1)
        chosen = torch.zeros_like(shares).scatter(1, logits.detach().topk(top_k, dim=-1).indices, 1.0)
        load = chosen.sum(0)
        if objective.expert_load == "fraction":
            load = load / (top_k * tokens)
        value = (shares.mean(0) * load).sum()
        balances.append(value * experts if objective.balance_form == "switch" else value)
        zs.append((torch.logsumexp(logits, dim=-1) ** 2).mean())
    if not balances:
        return torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    return torch.stack(balances).mean(), torch.stack(zs).mean()


def gradient(loss: Tensor, model: Any) -> Tensor:
    """The gradient of a loss with respect to all trainable weights, as one vector in the order of the parameters."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not loss.requires_grad:
        return torch.zeros(sum(weight.numel() for weight in weights), dtype=torch.float64)
    found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in found])
