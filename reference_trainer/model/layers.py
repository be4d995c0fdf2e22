"""The token-wise parts of BailingMoE: norm, SwiGLU, router and output head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import ACT2FN

from reference_trainer.model.configuration import BailingMoeConfig


def at_least_float32(tensor: Tensor) -> torch.dtype:
    """float32 for the half precisions, float64 for float64: where the authors' code says float32."""
    return torch.promote_types(tensor.dtype, torch.float32)


class BailingMoeRMSNorm(nn.Module):
    """x / rms(x), in float32, times a weight."""

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalises the last dimension."""
        wide = hidden.to(at_least_float32(hidden))
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(hidden.dtype)


class BailingMoeMLP(nn.Module):
    """SwiGLU without biases: a dense layer's MLP, or the shared experts as one."""

    def __init__(self, config: BailingMoeConfig, width: int):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.down_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., hidden] to [..., hidden]."""
        output: Tensor = self.down_proj(self.act_fn(self.gate_proj(hidden)) * self.up_proj(hidden))
        return output


class BailingMoeGate(nn.Module):
    """The router: softmax over all experts in float32, then top-k, renormalised where the config says so."""

    def __init__(self, config: BailingMoeConfig):
        super().__init__()
        self.top_k = config.num_experts_per_tok
        self.renormalise = config.norm_topk_prob and self.top_k > 1
        self.weight = nn.Parameter(torch.empty(config.num_experts or 0, config.hidden_size))

    def forward(self, hidden: Tensor, replay: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """[tokens, hidden] to the logits [tokens, experts], the chosen experts and their weights [tokens, k].

        ``replay`` [tokens, k] names the experts to choose in place of the router's own; a row with a negative entry
        leaves the choice to the router. Weights are the router's own probabilities of whatever is chosen, so that
        gradients reach it through the replayed entries (router replay: arXiv 2510.11370).
        """
        logits = F.linear(hidden, self.weight)
        probabilities = logits.softmax(dim=-1, dtype=at_least_float32(logits))
        weights, chosen = probabilities.topk(self.top_k, dim=-1)
        if replay is not None:
            chosen = torch.where((replay < 0).any(-1, keepdim=True), chosen, replay.long())
            weights = probabilities.gather(-1, chosen)
        if self.renormalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return logits, chosen, weights


class BailingMoeHead(nn.Linear):
    """The output projection; with ``norm_head``, by the weight over its L2 norms along the vocabulary.

    The norms divide the hidden states instead of the weight, which is the same product: no normalised copy of a
    [vocabulary, hidden] matrix is made, and the weight itself stays untouched.
    """

    def __init__(self, config: BailingMoeConfig):
        super().__init__(config.hidden_size, config.vocab_size, bias=False)
        self.normalise, self.detach_norm = config.norm_head, config.norm_head_detach

    def forward(self, hidden: Tensor) -> Tensor:
        """[batch, tokens, hidden] to logits [batch, tokens, vocabulary]."""
        if self.normalise:
            weight = self.weight.detach() if self.detach_norm else self.weight
            norm = torch.linalg.vector_norm(weight, dim=0, dtype=at_least_float32(weight)) + 1e-7
            hidden = (hidden / norm).to(hidden.dtype)
        return super().forward(hidden)
