"""What one optimiser step is computed from, and its split into micro-batches that change nothing but memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.errors import UsageError

_OPTIONAL = ("sampling_logprobs", "old_logprobs", "reference_logprobs", "routed_experts")


@dataclass(frozen=True)
class UpdateBatch:
    """The sequences of one optimiser step, or one rank's share of them.

    Every list has N entries, one a sequence that has at least one token in Psi.

    Attributes:
        prompts: [p_i] int64 token ids, p_i >= 1.
        responses: [k_i] int64, the leading tokens that are in Psi, k_i >= 1. What lies beyond k_i is never forwarded.
        lengths: [N] |y_i|, tokens of the whole response.
        advantages: [N].
        divisor: Phi of the whole update over all ranks (``Selection.divisor``).
        tokens: |Psi| of the whole update over all ranks.
        update_responses: L K, responses of the whole update over all ranks, dropped ones included (Eq. 1).
        sampling_logprobs: [k_i] each, as the sampling engine reported them; None if it did not.
        old_logprobs: [k_i] each, log pi_old; None takes the detached current ones.
        reference_logprobs: [k_i] each, log pi_ref; None without a KL term.
        routed_experts: [p_i + k_i, layers, k] each, the experts that the policy has to choose; None leaves the choice
            to its routers.
    """

    prompts: list[Tensor]
    responses: list[Tensor]
    lengths: Tensor
    advantages: Tensor
    divisor: float
    tokens: int
    update_responses: int
    sampling_logprobs: list[Tensor] | None = None
    old_logprobs: list[Tensor] | None = None
    reference_logprobs: list[Tensor] | None = None
    routed_experts: list[Tensor] | None = None

    def __post_init__(self) -> None:
        for i, (prompt, response) in enumerate(zip(self.prompts, self.responses, strict=True)):
            if not len(prompt) or not len(response):
                part = "response" if len(prompt) else "prompt"
                raise UsageError(f"sequence {i} of the update has an empty {part}: leave it out or begin with a token")

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def sizes(self) -> list[int]:
        """Tokens of each sequence that are forwarded: p_i + k_i."""
        return [len(prompt) + len(response) for prompt, response in zip(self.prompts, self.responses, strict=True)]

    def share(self, rank: int, ranks: int) -> "UpdateBatch":
        """Every ``ranks``-th sequence from ``rank`` on; divisor and counts stay those of the whole update."""
        return self.take(list(range(rank, len(self), ranks)))

    @staticmethod
    def joined(shares: "Sequence[UpdateBatch]") -> "UpdateBatch":
        """The batch whose ``share`` of every rank these are, in the order of the ranks."""

        numbers = [n for rank in range(len(shares)) for n in range(rank, sum(map(len, shares)), len(shares))]
        columns: dict[str, Any] = {
            name: [row for share in shares for row in getattr(share, name)]
            for name in ("prompts", "responses", *_OPTIONAL)
            if getattr(shares[0], name) is not None
        }
        for name in ("lengths", "advantages"):
            columns[name] = torch.cat([getattr(share, name) for share in shares])
        whole = replace(shares[0], **columns)
        return whole.take(sorted(range(len(numbers)), key=numbers.__getitem__))

    def take(self, index: Sequence[int]) -> "UpdateBatch":
        """The sequences with these numbers, in this order."""

        def pick(values: list[Tensor] | None) -> list[Tensor] | None:
            return None if values is None else [values[i] for i in index]

        where = torch.tensor(index, dtype=torch.long)
        return replace(
            self,
            prompts=[self.prompts[i] for i in index],
            responses=[self.responses[i] for i in index],
            lengths=self.lengths[where],
            advantages=self.advantages[where],
            sampling_logprobs=pick(self.sampling_logprobs),
            old_logprobs=pick(self.old_logprobs),
            reference_logprobs=pick(self.reference_logprobs),
            routed_experts=pick(self.routed_experts),
        )


@dataclass(frozen=True)
class MicroBatch:
    """B padded sequences of one forward pass: S tokens with the prompt, of which at most T are of the response.

    Attributes:
        index: Numbers of the sequences in their ``UpdateBatch``.
        input_ids: [B, S], padded on the right.
        attention: [B, S] bool, true at real tokens.
        predicts: [B, S] bool, true where the next token is one of the response.
        targets: [n] the response tokens, row by row: those that ``predicts`` points at.
        selected: [B, T] bool, true at tokens of the response.
        advantages: [B].
        lengths: [B].
        sampling_logprobs: [B, T] or None; the next two alike.
        old_logprobs: See ``UpdateBatch``.
        reference_logprobs: See ``UpdateBatch``.
        routed_experts: [B, S, layers, k], -1 at padding, or None.
        counts: False for a pass that adds nothing to loss, statistics or metrics.
    """

    index: list[int]
    input_ids: Tensor
    attention: Tensor
    predicts: Tensor
    targets: Tensor
    selected: Tensor
    advantages: Tensor
    lengths: Tensor
    sampling_logprobs: Tensor | None = None
    old_logprobs: Tensor | None = None
    reference_logprobs: Tensor | None = None
    routed_experts: Tensor | None = None
    counts: bool = True

    @property
    def response_tokens(self) -> Tensor:
        """[B, S] bool: positions whose own token is one of the response."""
        return torch.nn.functional.pad(self.predicts, (1, 0))[:, :-1]

    @classmethod
    def weightless(cls, device: torch.device) -> "MicroBatch":
        """A pass over two tokens that counts for nothing: it gives ranks with fewer micro-batches the same number."""
        true, zero = torch.ones(1, 2, dtype=torch.bool, device=device), torch.zeros(1, device=device)
        predicts = torch.tensor([[True, False]], device=device)
        ids = torch.zeros(1, 2, dtype=torch.long, device=device)
        return cls([], ids, true, predicts, ids[0, :1], true[:, :1], zero, zero + 1, counts=False)


def blocks_of(batch: UpdateBatch, max_tokens: int) -> list[list[int]]:
    """Groups sequences of like length so that rows x longest row <= ``max_tokens``; a longer one stands alone.

    Returns:
        Sequence numbers of each block, longest sequences first (memory runs out at once or never).
    """
    sizes = batch.sizes
    blocks: list[list[int]] = []
    for number in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if blocks and (len(blocks[-1]) + 1) * sizes[blocks[-1][0]] <= max_tokens:
            blocks[-1].append(number)
        else:
            blocks.append([number])
    return blocks


def passes_of(batch: UpdateBatch, max_tokens: int, block_tokens: int) -> list[list[list[int]]]:
    """Groups consecutive blocks into passes, one backward each, of at most ``max_tokens`` with padding."""
    passes: list[list[list[int]]] = []
    room = 0
    for block in blocks_of(batch, min(max_tokens, block_tokens)):
        tokens = len(block) * batch.sizes[block[0]]
        if not passes or tokens > room:
            passes.append([])
            room = max_tokens
        passes[-1].append(block)
        room -= tokens
    return passes


def collate(batch: UpdateBatch, index: Sequence[int], device: torch.device) -> MicroBatch:
    """Pads the sequences with these numbers into one micro-batch on ``device``."""
    part = batch.take(index)
    prompts = torch.tensor([len(prompt) for prompt in part.prompts])
    kept = torch.tensor([len(response) for response in part.responses])
    rows = [torch.cat(pair) for pair in zip(part.prompts, part.responses, strict=True)]
    place = torch.arange(int((prompts + kept).max()))[None]
    ends = (prompts + kept)[:, None]

    def padded(values: list[Tensor] | None, fill: float = 0) -> Tensor | None:
        if values is None:
            return None
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=fill).to(device)

    return MicroBatch(
        index=list(index),
        input_ids=torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device),
        attention=(place < ends).to(device),
        predicts=((place >= prompts[:, None] - 1) & (place < ends - 1)).to(device),
        targets=torch.cat(part.responses).to(device),
        selected=(torch.arange(int(kept.max()))[None] < kept[:, None]).to(device),
        advantages=part.advantages.to(device),
        lengths=part.lengths.to(device),
        sampling_logprobs=padded(part.sampling_logprobs),
        old_logprobs=padded(part.old_logprobs),
        reference_logprobs=padded(part.reference_logprobs),
        routed_experts=padded(part.routed_experts, -1),
    )
