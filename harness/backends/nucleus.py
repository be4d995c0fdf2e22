"""Draws the next token of each row from its own uniform number: temperature, top-k, top-p.

One number a token and row, taken from the row's own generator, makes a sample depend on its seed and its logits only,
not on the rows beside it or on the device's random numbers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.types import SamplingParams

if TYPE_CHECKING:
    import torch

_HEAD = 1024  # a nucleus of top-p < 1 nearly always lies within so many tokens; the rest is sorted only if it does not


def pick(logits: "torch.Tensor", params: SamplingParams, uniforms: Sequence[float]) -> "torch.Tensor":
    """Picks one token a row.

    The k most likely tokens stay (all for ``top_k`` 0), of these the smallest set of the most likely whose probability
    reaches ``top_p`` (the order of vLLM and of transformers); then the distribution function is inverted.

    Args:
        logits: [rows, vocabulary], any float type.
        params: ``temperature`` 0 takes the most likely token.
        uniforms: One number in [0, 1) a row.

    Returns:
        Token ids, [rows], int64.
    """
    import torch

    if params.temperature == 0:
        return logits.argmax(-1)
    scaled = logits.float() / params.temperature
    kept = min(params.top_k, scaled.shape[-1]) if params.top_k > 0 else scaled.shape[-1]
    head = min(kept, _HEAD) if params.top_p < 1 else kept
    while True:
        ids, mass = _ordered(scaled, head, kept)
        total = mass[:, -1:] if head == kept else torch.ones_like(mass[:, -1:])
        if head == kept or bool((mass[:, -1] >= params.top_p).all()):
            break
        head = kept
    # A token belongs to the nucleus when the ones before it have not reached top_p yet.
    before = torch.cat([torch.zeros_like(mass[:, :1]), mass[:, :-1]], dim=1)
    size = (before < params.top_p * total).sum(1, keepdim=True).clamp_min(1)
    nucleus = mass.gather(1, size - 1)
    draw = torch.tensor(uniforms, dtype=torch.float64, device=mass.device)[:, None] * nucleus
    place = torch.searchsorted(mass, draw, right=True).minimum(size - 1)
    return ids.gather(1, place)[:, 0]


def _ordered(scaled: "torch.Tensor", head: int, kept: int) -> tuple["torch.Tensor", "torch.Tensor"]:
    """The ``head`` most likely tokens and their cumulated probability (float64) among the ``kept`` most likely."""
    import torch

    if head == scaled.shape[-1]:
        values, ids = scaled.sort(dim=-1, descending=True, stable=True)
    else:
        values, ids = scaled.topk(head, dim=-1)
    whole = scaled if kept == scaled.shape[-1] else scaled.topk(kept, dim=-1).values
    probabilities = (values.double() - torch.logsumexp(whole.double(), dim=-1, keepdim=True)).exp()
    return ids, probabilities.cumsum(-1)
