"""What is asked of a rollout engine and what it gives back; the vLLM and the transformers engine both speak this."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from harness.errors import UsageError


@dataclass(frozen=True)
class Sampling:
    """How responses are drawn.

    Attributes:
        max_new_tokens: Most tokens of a response, the end token included.
        temperature: Logits are divided by it; 0 takes the most probable token.
        top_p: Sample from the smallest set of tokens whose probability reaches this; 1 samples from all of them.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UsageError(f"max_new_tokens is {self.max_new_tokens}; a response needs at least 1 token.")
        if self.temperature < 0:
            raise UsageError(f"temperature is {self.temperature}; give 0 (greedy) or a positive number.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p}; it must lie in (0, 1].")


@dataclass(frozen=True)
class RolloutRequest:
    """One response to draw.

    Attributes:
        prompt: [p] int64 token ids, p >= 1.
        seed: 64-bit seed of this response alone. Its tokens depend on prompt, seed and weights, and on what else is
            drawn with it only through the rounding of the matrix products.
    """

    prompt: Tensor
    seed: int


@dataclass(frozen=True)
class Rollout:
    """One response.

    Attributes:
        prompt: [p] int64, as requested.
        response: [n] int64, n = abs(y_i): the generated tokens, the end token included, the prompt never.
        logprobs: [n] float32, log-probability of each token under the distribution it was drawn from: after
            temperature and top-p. Greedy responses carry the log-probabilities at temperature 1.
        finished: Whether the response ended with an end token; otherwise the length limit cut it.
        seed: As requested.
        routed_experts: [p + n, layers, k] int16, the experts that the engine chose for each token in each layer; -1 for
            the last token, which the engine never forwards. None from an engine that does not tell.
    """

    prompt: Tensor
    response: Tensor
    logprobs: Tensor
    finished: bool
    seed: int
    routed_experts: Tensor | None = None

    @property
    def length(self) -> int:
        """abs(y_i)."""
        return len(self.response)

    @property
    def truncated(self) -> bool:
        """Whether the length limit cut the response."""
        return not self.finished


class RolloutEngine(Protocol):
    """Draws responses from the current policy."""

    def generate(self, requests: Sequence[RolloutRequest], sampling: Sampling) -> list[Rollout]:
        """Draws one response a request, and returns them in the order of the requests, whichever ended first."""

    def update_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Takes new weights as (hub name, tensor), such as ``reference_trainer.model.hub_weights`` yields."""

    def close(self) -> None:
        """Gives back what the engine holds, such as the memory of a GPU."""


def check_prompts(requests: Sequence[RolloutRequest], context: int | None) -> None:
    """Refuses (UsageError) prompts that are empty or leave no room for a response in a context of so many tokens."""
    for number, request in enumerate(requests):
        if not len(request.prompt):
            raise UsageError(f"rollout: the prompt of request {number} is empty; begin it with a token.")
        if context is not None and len(request.prompt) >= context:
            raise UsageError(
                f"rollout: the prompt of request {number} has {len(request.prompt)} tokens, and the model's "
                f"context of {context} leaves no room for a response; shorten or drop it."
            )


def response_seed(seed: int, prompt: str | int, sample: int) -> int:
    """The seed of sample number ``sample`` of a prompt: 63 bits that depend on nothing else in the batch.

    ``prompt`` is a key that stays the same wherever the prompt turns up, such as its number in the data set.
    """
    digest = hashlib.blake2b(f"{seed}/{prompt}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def group_requests(
    prompts: Sequence[Tensor], samples: int, seed: int, keys: Sequence[str | int] | None = None
) -> list[RolloutRequest]:
    """Requests for ``samples`` responses a prompt: in prompt order, then sample index (the order that Eq. 3 fills).

    Args:
        prompts: L prompts, [p] int64 each.
        samples: K.
        seed: Seed of the iteration.
        keys: A key for each prompt (see ``response_seed``); by default its place in ``prompts``.
    """
    names = range(len(prompts)) if keys is None else keys
    return [
        RolloutRequest(prompt, response_seed(seed, key, sample))
        for prompt, key in zip(prompts, names, strict=True)
        for sample in range(samples)
    ]
