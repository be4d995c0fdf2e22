"""One batch of prompts through a causal language model, token by token, each row leaving as soon as it has ended."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.backends.nucleus import pick
from harness.backends.text import PromptText
from harness.types import Request, SamplingParams

if TYPE_CHECKING:
    import torch


@dataclass
class Row:
    """One sample in the making.

    Attributes:
        request: What is drawn.
        prompt: Token ids of the prompt.
        cap: Tokens that may be generated.
        tokens: Generated so far, the end token included.
        text: Final text, without end token and stop string; set when the row has ended.
        finish: Why it ended.
    """

    request: Request
    prompt: list[int]
    cap: int
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish: Literal["stop", "length"] = "length"

    def __post_init__(self) -> None:
        # Mersenne Twister: the same numbers on every platform and version of torch.
        self._random = random.Random(self.request.seed)

    def uniform(self) -> float:
        """The row's next number in [0, 1)."""
        return self._random.random()


class Decoder:
    """Runs batches on one model.

    Args:
        model: A ``transformers`` causal language model in evaluation mode.
        text: Its tokenizer.
        end_ids: Tokens that end a response.
    """

    def __init__(self, model: Any, text: PromptText, end_ids: frozenset[int]) -> None:
        import inspect

        self._model, self._text, self._end_ids = model, text, end_ids
        self._accepted = set(inspect.signature(model.forward).parameters)

    def run(self, rows: Sequence[Row], params: SamplingParams) -> Iterator[Row]:
        """Yields every row as soon as it has ended; the batch then goes on without it."""
        import torch

        for row in rows:
            if row.cap <= 0:
                yield row
        active = [row for row in rows if row.cap > 0]
        if not active:
            return
        with torch.inference_mode():
            logits, mask, cache = self._prefill(active)
        while active:
            with torch.inference_mode():
                chosen = pick(logits, params, [row.uniform() for row in active] if params.temperature else [])
            running = []
            for place, (row, token) in enumerate(zip(active, chosen.tolist(), strict=True)):
                row.tokens.append(token)
                if self._ended(row, params.stop):
                    yield row
                else:
                    running.append(place)
            if len(running) < len(active):
                active = [active[place] for place in running]
                if not active:
                    return
                keep = torch.tensor(running)
                with torch.inference_mode():
                    chosen, mask = chosen[keep.to(chosen.device)], mask[keep.to(mask.device)]
                    cache.reorder_cache(keep)
            with torch.inference_mode():
                mask = torch.cat([mask, mask.new_ones((len(active), 1))], dim=1)
                logits = self._forward(chosen[:, None].to(mask.device), mask, cache)

    def _prefill(self, rows: Sequence[Row]) -> "tuple[torch.Tensor, torch.Tensor, Any]":
        """Runs the prompts, padded on the left; equal prompts are run once and shared out."""
        import torch
        from transformers import DynamicCache

        distinct = list(dict.fromkeys(tuple(row.prompt) for row in rows))
        width = max(map(len, distinct))
        device = self._model.get_input_embeddings().weight.device
        ids = torch.zeros((len(distinct), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for place, prompt in enumerate(distinct):
            ids[place, width - len(prompt) :] = torch.tensor(prompt)
            mask[place, width - len(prompt) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        cache: Any = DynamicCache(config=self._model.config)
        logits = self._forward(ids, mask, cache)
        place_of = {prompt: place for place, prompt in enumerate(distinct)}
        share = torch.tensor([place_of[tuple(row.prompt)] for row in rows])
        if len(distinct) < len(rows):
            cache.reorder_cache(share)
        return logits[share.to(logits.device)], mask[share.to(device)], cache

    def _forward(self, ids: "torch.Tensor", mask: "torch.Tensor", cache: Any) -> "torch.Tensor":
        """Logits [rows, vocabulary] behind the last token; the cache grows by ``ids``."""
        positions = (mask.cumsum(-1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        extra: dict[str, Any] = {"position_ids": positions, "logits_to_keep": 1}
        extra = {name: value for name, value in extra.items() if name in self._accepted}
        output = self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _ended(self, row: Row, stop: Sequence[str]) -> bool:
        ended = row.tokens[-1] in self._end_ids
        stopped = not ended and bool(stop) and self._stops(row, stop)
        if ended or stopped:
            row.finish = "stop"
        elif len(row.tokens) < row.cap:
            return False
        row.text = self._text.decode_until(row.tokens, stop if stopped else ())
        return True

    def _stops(self, row: Row, stop: Sequence[str]) -> bool:
        """Whether a stop string stands in the text."""
        # A token is at least one byte unless it is hidden, so the newest stop string lies in so many last tokens.
        window = max(len(text.encode()) for text in stop) + 8
        tail = self._text.decode(row.tokens[-window:])
        if not any(text in tail for text in stop):
            return False
        whole = self._text.decode(row.tokens)
        return any(text in whole for text in stop)
