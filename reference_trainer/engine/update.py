"""One optimiser step, whatever executes it: from a batch of sequences to changed weights.

``UpdateEngine`` holds the arithmetic; an executor (one process, DeepSpeed) fills its abstract methods. What every
executor can rely on, and has to keep:

- A micro-batch contributes a sum over constants of the whole update (Phi, L K, M, F), so gradients are summed over
  micro-batches and ranks, never averaged. An executor that averages over ranks multiplies the loss by their number.
- ``batch`` is a rank's share (``UpdateBatch.share``); its ``divisor``, ``tokens`` and ``update_responses`` are global.
- Every rank runs the same number of forwards and backwards in the same order; missing ones are weightless.
- Router statistics are summed over ranks before they enter the loss.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.errors import CheckFailed, UsageError
from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine.batch import MicroBatch, UpdateBatch, collate, passes_of
from reference_trainer.engine.optimizer import learning_rate
from reference_trainer.engine.scorer import Scorer, Scores
from reference_trainer.engine.tally import Tally
from reference_trainer.objective import (
    PolicyTokens,
    RouterSums,
    balance_loss,
    c3po_loss,
    entropy_term,
    expert_load,
    grpo_loss,
    router_sums,
    sft_loss,
    total_loss,
    truncated_importance,
    z_loss,
)


class UpdateEngine(ABC):
    """The update of one policy under one objective.

    Args:
        model: Causal language model; trained in place.
        objective: What is minimised.
        settings: How the weights move.
        temperature: Sampling temperature of the rollouts.
        initial: The model that the whole run began with; it is pi_ref under ``reference_policy: initial``. Otherwise,
            and where it is None, pi_ref is a copy of ``model`` as it is now, at the start of the stage.

    Attributes:
        updates: Optimiser steps done; part of the checkpoint.
        reference: Frozen scorer of pi_ref, or None when the objective has no KL term.
    """

    rank, world_size = 0, 1

    def __init__(
        self,
        model: Any,
        objective: ObjectiveConfig,
        settings: OptimizerConfig,
        temperature: float = 1.0,
        initial: Any = None,
    ):
        self.objective = objective
        self.settings = settings
        self.scorer = Scorer(model, temperature, autocast=settings.autocast == "bfloat16")
        self.updates = 0
        self.reference: Scorer | None = None
        if objective.kl_coefficient:
            self.reference = deepcopy(self.scorer).eval().requires_grad_(False)
            if initial is not None and objective.reference_policy == "initial":
                self.reference.model.load_state_dict(initial.state_dict())

    # What an executor fills in.

    @abstractmethod
    def _score(self, batch: MicroBatch, **kwargs: bool) -> Scores:
        """Runs the policy's scorer."""

    @abstractmethod
    def _backward(self, loss: Tensor) -> None:
        """Adds the gradient of this rank's sum to that of the update."""

    @abstractmethod
    def _apply_gradients(self, rate: float) -> float:
        """Clips, takes one AdamW step at this learning rate, clears gradients; returns the L2 norm before clipping.

        Raises CheckFailed, with the weights untouched, where the norm is not finite.
        """

    @abstractmethod
    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over ranks, on the device that ``values`` is on (statistics come on the CPU)."""

    @abstractmethod
    def _max_over_ranks(self, value: int) -> int:
        """The largest ``value`` of any rank."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where micro-batches go."""

    @abstractmethod
    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """The policy's weights under hub names, for a rollout engine that holds a copy; lazily.

        With several ranks all of them go through the weights to the end.
        """

    # What an executor of several ranks fills in as well.

    def _score_reference(self, batch: MicroBatch) -> Scores:
        """Runs the reference policy's scorer."""
        assert self.reference is not None
        scores: Scores = self.reference(batch)
        return scores

    def gather(self, value: Any) -> list[Any]:
        """The value of every rank, in their order, on every rank."""
        return [value]

    def whole_weights(self) -> AbstractContextManager[None]:
        """In this context the policy's module is whole on each rank and runs without the others, to sample with."""
        return nullcontext()

    # The update.

    def prepare(self, batches: Sequence[UpdateBatch]) -> list[UpdateBatch]:
        """Adds what is computed once for a rollout, before its first update: log pi_ref, and log pi_old if needed.

        With one update for the rollout pi_old is the current policy itself, and its log-probabilities are the detached
        ones of the update's own forward pass.
        """
        prepared = []
        for batch in batches:
            if self.reference is not None:
                batch = replace(batch, reference_logprobs=self.logprobs(batch, reference=True))
            if len(batches) > 1:
                batch = replace(batch, old_logprobs=self.logprobs(batch))
            prepared.append(batch)
        return prepared

    @torch.no_grad()
    def logprobs(self, batch: UpdateBatch, reference: bool = False) -> list[Tensor]:
        """[k_i] log-probabilities of each response under the current or the reference policy, without gradient."""
        results: list[Tensor] = [torch.empty(0)] * len(batch)
        self.scorer.eval()
        for micro in itertools.chain.from_iterable(self._passes(batch)):
            # The reference policy has routers of its own: what the sampler's chose is replayed in the policy alone.
            free = replace(micro, routed_experts=None)
            scores = self._score_reference(free) if reference and self.reference is not None else self._score(micro)
            for row, number in enumerate(micro.index):
                results[number] = scores.logprobs[row, : len(batch.responses[number])].cpu()
        self.scorer.train()
        return results

    @torch.no_grad()
    def mean_entropy(self, batch: UpdateBatch) -> float:
        """Mean entropy in nats of the current policy over the response tokens of ``batch``, at the temperature."""
        self.scorer.eval()
        total = torch.zeros((), dtype=torch.float64)
        for micro in itertools.chain.from_iterable(self._passes(batch)):
            total += self._score(micro).entropy[micro.selected & micro.counts].double().sum().cpu()
        self.scorer.train()
        return float(self._sum_over_ranks(total)) / batch.tokens

    def update(self, batch: UpdateBatch) -> dict[str, Any]:
        """One AdamW step on the loss of Eq. 6 for a batch from ``prepare``; returns the metrics of ``Tally``.

        A batch without a single token in Psi on any rank changes nothing, as a gradient of zero still moves AdamW.
        """
        tally = Tally(self.objective)
        rate = learning_rate(self.updates, self.settings)
        if batch.tokens:
            passes = self._passes(batch)
            router = self._router_statistics(passes) if len(passes) > 1 else None
            for blocks in passes:
                self._backward(self._loss(blocks, batch, router, tally))
            tally.gradient_norm = self._apply_gradients(rate)
        self.updates += 1
        return {**tally.metrics(batch.tokens, self._sum_over_ranks), "learning_rate": rate}

    def _passes(self, batch: UpdateBatch) -> list[list[MicroBatch]]:
        """The batch as passes (one backward each) of blocks (one forward each); every rank has the same numbers."""
        settings = self.settings
        block = settings.block_tokens or (2048 if self.device.type == "cpu" else settings.micro_batch_tokens)
        passes = [
            [collate(batch, numbers, self.device) for numbers in blocks]
            for blocks in passes_of(batch, settings.micro_batch_tokens, block)
        ]
        passes += [[] for _ in range(self._max_over_ranks(len(passes)) - len(passes))]
        for blocks in passes:
            missing = self._max_over_ranks(len(blocks)) - len(blocks)
            blocks += [MicroBatch.weightless(self.device) for _ in range(missing)]
        return passes

    @torch.no_grad()
    def _router_statistics(self, passes: Sequence[Sequence[MicroBatch]]) -> RouterSums | None:
        """The first pass of the global balance loss: counts and tokens of the whole update, which are constants."""
        if not self._has_router_terms:
            return None
        blocks = itertools.chain.from_iterable(passes)
        return self._global([self._router_sums(micro, self._score(micro, router_only=True)) for micro in blocks])

    def _router_sums(self, micro: MicroBatch, scores: Scores) -> RouterSums | None:
        if not scores.router_logits:
            return None
        counted = micro.attention if self.objective.router_tokens == "all" else micro.response_tokens
        return router_sums(scores.router_logits, counted & micro.counts, self.scorer.top_k)

    def _global(self, parts: Sequence[RouterSums | None]) -> RouterSums | None:
        """The sum of these parts, its counts and tokens over all ranks."""
        sums = RouterSums.add([part for part in parts if part is not None])
        if sums is None or self.world_size == 1:
            return sums
        tokens = self._sum_over_ranks(torch.tensor(float(sums.tokens), device=self.device))
        return replace(sums, counts=self._sum_over_ranks(sums.counts), tokens=int(tokens))

    def _loss(
        self, blocks: Sequence[MicroBatch], batch: UpdateBatch, router: RouterSums | None, tally: Tally
    ) -> Tensor:
        """Eq. 6 for one pass; ``router`` None takes the statistics of this pass, the only one of the update."""
        gradient = self.objective.entropy_coefficient > 0
        scores = [self._score(micro, entropy_gradient=gradient) for micro in blocks]
        sums = [self._router_sums(micro, score) for micro, score in zip(blocks, scores, strict=True)]
        router = router or self._global(sums)
        parts = zip(blocks, scores, sums, strict=True)
        losses = [self._block_loss(micro, score, part, batch, router, tally) for micro, score, part in parts]
        return torch.stack(losses).sum()

    def _block_loss(
        self,
        micro: MicroBatch,
        scores: Scores,
        sums: RouterSums | None,
        batch: UpdateBatch,
        router: RouterSums | None,
        tally: Tally,
    ) -> Tensor:
        """Eq. 6 for one block; ``sums`` are its router sums, ``router`` those of the whole update."""
        objective = self.objective
        tokens = self._policy_tokens(micro, scores)
        policy = self._policy_loss(tokens, micro, batch)
        entropy = entropy_term(scores.entropy, tokens.selected, batch.divisor)
        balance, z = self._router_losses(sums, router, policy)
        loss = total_loss(
            policy,
            entropy,
            balance,
            z,
            entropy_coefficient=objective.entropy_coefficient,
            balance_coefficient=objective.balance_coefficient,
            z_coefficient=objective.z_coefficient,
            entropy_sign=objective.entropy_sign,
        )
        tally.add(loss, policy, scores.entropy, tokens, micro.sampling_logprobs, sums)
        return loss

    def _router_losses(self, sums: RouterSums | None, update: RouterSums | None, like: Tensor) -> tuple[Tensor, Tensor]:
        """B and Z of one block (``sums``) in terms of the whole ``update``; zeros for a dense model."""
        objective = self.objective
        if sums is None or update is None or not self._has_router_terms:
            return like.new_zeros(()), like.new_zeros(())
        load = expert_load(update.counts, objective.expert_load)
        balance = balance_loss(sums.probabilities, load, update.tokens, objective.balance_form)
        return balance, z_loss(sums.z, update.tokens)

    @property
    def _has_router_terms(self) -> bool:
        return bool(self.objective.balance_coefficient or self.objective.z_coefficient)

    def _policy_tokens(self, micro: MicroBatch, scores: Scores) -> PolicyTokens:
        old = scores.logprobs.detach() if micro.old_logprobs is None else micro.old_logprobs
        importance = None
        if self.objective.importance_sampling == "truncated" and micro.counts:
            if micro.sampling_logprobs is None:
                raise UsageError("importance_sampling 'truncated' needs log-probabilities from the sampling engine")
            importance = truncated_importance(old, micro.sampling_logprobs, self.objective.importance_cap)
        reference = micro.reference_logprobs if micro.counts or not self.objective.kl_coefficient else old
        return PolicyTokens(
            scores.logprobs, old, micro.advantages, micro.selected & micro.counts, reference, importance
        )

    def _policy_loss(self, tokens: PolicyTokens, micro: MicroBatch, batch: UpdateBatch) -> Tensor:
        objective = self.objective
        if objective.loss == "sft":
            return sft_loss(tokens.logprobs, tokens.selected, batch.divisor)
        settings: dict[str, Any] = {
            "clip_low": objective.clip_low,
            "clip_high": objective.clip_high,
            "kl_coefficient": objective.kl_coefficient,
            "kl_estimator": objective.kl_estimator,
        }
        if objective.loss == "grpo":
            return grpo_loss(tokens, micro.lengths, batch.update_responses, **settings)
        return c3po_loss(tokens, batch.divisor, **settings)

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values from which ``load_state_dict`` continues bitwise."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores ``state_dict``."""


def refuse_other_ranks(state: Mapping[str, Any], ranks: int, objective: ObjectiveConfig) -> None:
    """Raises UsageError where ``state`` comes from another number of ranks and Phi is one rank's."""
    before = int(state.get("ranks", 1))
    if before != ranks and objective.budget_scope == "rank":
        raise UsageError(
            f"the checkpoint was made on {before} ranks, and with budget_scope 'rank' {ranks} would train on another "
            f"number of tokens: resume on {before}, or begin with budget_scope 'global'"
        )


def refuse_non_finite(norm: float, update: int) -> None:
    """Stops a run before AdamW spreads a NaN over every weight."""
    if not torch.isfinite(torch.tensor(norm)):
        raise CheckFailed(
            f"the gradient norm of update {update} is {norm}: the weights are untouched; resume from the last "
            "checkpoint with a lower learning_rate, and look at the last rows of metrics.jsonl for what grew"
        )
