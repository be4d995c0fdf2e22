"""From a micro-batch to log-probabilities, entropies and router logits of its response tokens."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.errors import UsageError
from reference_trainer.engine.batch import MicroBatch
from reference_trainer.objective import token_entropy, token_logprobs

LOGITS_AT_ONCE = 1 << 27  # elements of the logits matrix that exist at the same time: 512 MiB in float32


class Scores(NamedTuple):
    """Outputs of one forward pass; a tuple, in which DeepSpeed's hooks find the tensors.

    Attributes:
        logprobs: [B, T] of the response tokens; 0 at padding.
        entropy: [B, T] over the full vocabulary; 0 at padding.
        router_logits: One [B * S, N_e] tensor for each mixture-of-experts layer; empty for a dense model.
    """

    logprobs: Tensor
    entropy: Tensor
    router_logits: Sequence[Tensor]


class Scorer(nn.Module):
    """A causal language model of transformers, as the trainer needs it.

    The output head sees response positions only, in chunks whose logits are recomputed in the backward, so that memory
    does not grow with vocabulary x length. One ``nn.Module``, so that an engine can wrap it whole.

    Args:
        model: A causal language model whose logits are its output embedding applied to the base model's hidden states.
        temperature: Sampling temperature that log-probabilities and entropies are taken at.
        autocast: Compute matrix products in bfloat16.
    """

    def __init__(self, model: Any, temperature: float = 1.0, autocast: bool = False):
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.autocast = autocast
        config = model.config
        self.top_k = int(getattr(config, "num_experts_per_tok", 0) or 0)
        self.logits_at_once = LOGITS_AT_ONCE
        self._check_head()

    def forward(self, batch: MicroBatch, *, router_only: bool = False, entropy_gradient: bool = False) -> Scores:
        """Scores one micro-batch; with ``router_only`` the head is not run and only ``router_logits`` is filled."""
        # Padding stands on the right, where causal attention never looks: no mask and no positions are needed.
        with torch.autocast(batch.input_ids.device.type, torch.bfloat16, enabled=self.autocast):
            output = self.model.base_model(
                input_ids=batch.input_ids,
                use_cache=False,
                **({"output_router_logits": True} if self.top_k else {}),
                **({} if batch.routed_experts is None else {"routed_experts": batch.routed_experts}),
            )
            router_logits = tuple(getattr(output, "router_logits", None) or ())
            if router_only:
                nothing = torch.zeros((), device=batch.input_ids.device)
                return Scores(nothing, nothing, router_logits)
            hidden = output.last_hidden_state[batch.predicts]
            logprobs, entropy = self._head(hidden, batch.targets, entropy_gradient)
        return Scores(_rows(logprobs, batch.selected), _rows(entropy, batch.selected), router_logits)

    def _head(self, hidden: Tensor, targets: Tensor, entropy_gradient: bool) -> tuple[Tensor, Tensor]:
        size = max(1, self.logits_at_once // self.model.config.vocab_size)
        chunks = list(zip(torch.split(hidden, size), torch.split(targets, size), strict=True))
        recompute = torch.is_grad_enabled() and len(chunks) > 1
        parts = [
            checkpoint(self._score, h, t, entropy_gradient, use_reentrant=False)
            if recompute
            else self._score(h, t, entropy_gradient)
            for h, t in chunks
        ]
        return torch.cat([logprobs for logprobs, _ in parts]), torch.cat([entropy for _, entropy in parts])

    def _score(self, hidden: Tensor, targets: Tensor, entropy_gradient: bool) -> tuple[Tensor, Tensor]:
        logits = self.model.get_output_embeddings()(hidden)
        logprobs = token_logprobs(logits, targets, self.temperature)
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            return logprobs, token_entropy(logits, self.temperature)

    @torch.no_grad()
    def _check_head(self) -> None:
        """Refuses models that scale or cap their logits outside the output embedding."""
        parameter = next(self.model.parameters())
        if parameter.is_meta:
            return
        training, ids = self.model.training, torch.zeros(1, 2, dtype=torch.long, device=parameter.device)
        self.model.eval()
        with torch.autocast(parameter.device.type, torch.bfloat16, enabled=self.autocast):
            whole = self.model(input_ids=ids, use_cache=False).logits
            parts = self.model.get_output_embeddings()(self.model.base_model(input_ids=ids, use_cache=False)[0])
        self.model.train(training)
        if not torch.allclose(whole, parts, rtol=1e-3, atol=1e-5):
            raise UsageError(
                f"{type(self.model).__name__} changes its logits after the output embedding (scaling or soft cap), "
                "which the trainer does not do: train a model without it"
            )


def _rows(values: Tensor, mask: Tensor) -> Tensor:
    """[n] values, row by row, to [B, T] with 0 elsewhere."""
    rows = values.new_zeros(mask.shape)
    rows[mask] = values
    return rows
