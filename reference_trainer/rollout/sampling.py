"""Sampling one token a row, each row from a random stream of its own."""

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64


def uniforms(seeds: Tensor, positions: Tensor) -> Tensor:
    """Number ``position`` of each row's SplitMix64 stream, as float64 in [0, 1).

    A counter-based generator: a row's numbers do not depend on how many rows there are, nor on their order. Source:
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Args:
        seeds: [rows] int64.
        positions: [rows] int64, 0 for the first token.

    Returns:
        [rows] float64, multiples of 2^-52: so that u times a total stays below the total.
    """
    z = seeds + (positions + 1) * _GOLDEN
    z = (z ^ _shift(z, 30)) * _FIRST
    z = (z ^ _shift(z, 27)) * _SECOND
    z = z ^ _shift(z, 31)
    return _shift(z, 12).double() * 2.0**-52


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's own repeats the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def log_distribution(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """Log-probabilities [rows, vocabulary], float32 at least, of the distribution that is sampled from."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logprobs = torch.log_softmax(wide if temperature in (0.0, 1.0) else wide / temperature, dim=-1)
    if top_p == 1.0 or temperature == 0.0:
        return logprobs
    ordered, order = logprobs.sort(dim=-1, descending=True)
    before = ordered.exp().cumsum(dim=-1) - ordered.exp()
    ordered = ordered.masked_fill(before >= top_p, -torch.inf)
    return torch.empty_like(logprobs).scatter_(-1, order, torch.log_softmax(ordered, dim=-1))


def draw(logprobs: Tensor, seeds: Tensor, positions: Tensor, greedy: bool) -> Tensor:
    """One token a row [rows] int64, by inversion of the cumulative distribution in float64."""
    if greedy:
        return logprobs.argmax(dim=-1)
    cumulative = logprobs.double().exp().cumsum(dim=-1)
    threshold = uniforms(seeds, positions)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, threshold, right=True)[:, 0]
