"""Rollouts with a transformers model in this process: fast for a tiny model on a CPU, exact anywhere."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from harness.errors import UsageError
from reference_trainer.rollout.cache import SlotCache
from reference_trainer.rollout.rollout import Rollout, RolloutRequest, Sampling, check_prompts
from reference_trainer.rollout.sampling import draw, log_distribution

# Rows that have ended are dropped from the batch once they are this share of it: each drop copies the cache.
_IDLE_SHARE = 0.25


class TransformersEngine:
    """Decodes a batch of rows token by token; rows that end make room for waiting requests.

    Prompts are prefilled once each, however many responses they get, shortest first so that those prefilled together
    need little padding. The batch ends as soon as its last row does.
    """

    def __init__(self, model: Any, eos_token_ids: int | Iterable[int], max_rows: int = 256) -> None:
        """Uses ``model`` (any transformers causal language model) as it is: weights are shared, never copied.

        Args:
            model: Its attention implementation must be sdpa or eager, which take a mask of their own.
            eos_token_ids: Token or tokens that end a response.
            max_rows: Most responses decoded at a time; bounds the memory of the key-value cache.
        """
        implementation = model.config._attn_implementation
        if implementation not in ("sdpa", "eager"):
            raise UsageError(
                f"rollout: attention implementation {implementation!r} takes no mask of its own; load the model with "
                "attn_implementation='sdpa', or use the vLLM engine."
            )
        if max_rows < 1:
            raise UsageError(f"rollout: max_rows is {max_rows}; it must be at least 1.")
        self.model, self.max_rows = model, max_rows
        ends = [eos_token_ids] if isinstance(eos_token_ids, int) else list(eos_token_ids)
        self._ends = torch.tensor(ends, dtype=torch.long, device=model.device)

    def update_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Nothing to do: the engine decodes with the model that is trained."""

    def close(self) -> None:
        """Nothing to do: the model is the trainer's."""

    def generate(self, requests: Sequence[RolloutRequest], sampling: Sampling) -> list[Rollout]:
        """Draws one response a request; see ``RolloutEngine``. The model's context cuts responses as their limit does.

        Raises:
            UsageError: A prompt is empty, or fills the model's context.
        """
        check_prompts(requests, getattr(self.model.config, "max_position_embeddings", None))
        with _evaluating(self.model):
            batch = _Batch(self.model, requests, sampling, self._ends)
            waiting = sorted(range(len(requests)), key=lambda i: (len(requests[i].prompt), requests[i].prompt.tolist()))
            while waiting or len(batch.rows):
                room = self.max_rows - len(batch.rows)
                if waiting and room:
                    batch.admit(waiting[:room])
                    del waiting[:room]
                else:
                    batch.step()
                batch.drop_ended(now=bool(waiting))
        return batch.rollouts()


class _Batch:
    """Rows in flight, and the tokens of every request so far."""

    def __init__(self, model: Any, requests: Sequence[RolloutRequest], sampling: Sampling, ends: Tensor) -> None:
        self.model, self.requests, self.sampling, self.ends = model, requests, sampling, ends
        self.device = ends.device
        count, limit = len(requests), sampling.max_new_tokens
        self.cache = SlotCache(model.config.num_hidden_layers)
        self.rows = torch.empty(0, dtype=torch.long)  # request number of each row in the batch
        self.open = torch.empty(0, dtype=torch.bool)  # rows that still generate
        self.seeds = torch.tensor([request.seed for request in requests], dtype=torch.long)
        context = getattr(model.config, "max_position_embeddings", None)
        rooms = [limit if context is None else min(limit, context - len(request.prompt)) for request in requests]
        self.limits = torch.tensor(rooms, dtype=torch.long)
        self.counts = torch.zeros(count, dtype=torch.long)
        self.finished = torch.zeros(count, dtype=torch.bool)
        self.tokens = torch.zeros(count, min(limit, 64), dtype=torch.long)
        self.logprobs = torch.zeros(count, min(limit, 64))

    def admit(self, numbers: list[int]) -> None:
        """Prefills these requests, and draws the first token of each."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for number in numbers:
            groups.setdefault(tuple(self.requests[number].prompt.tolist()), []).append(number)
        lengths, repeats = [len(prompt) for prompt in groups], [len(members) for members in groups.values()]
        width = max(lengths)
        ids = torch.zeros(len(groups), width, dtype=torch.long)
        mask = torch.zeros(len(groups), width, dtype=torch.long)
        for row, prompt in enumerate(groups):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        output = self.model(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0).to(self.device),
            use_cache=True,
            logits_to_keep=1,
        )
        room = min(self.sampling.max_new_tokens, 64)
        self.cache.append(output.past_key_values, lengths, repeats, room)
        new = torch.tensor([number for members in groups.values() for number in members])
        logits = output.logits[:, -1].repeat_interleave(torch.tensor(repeats, device=self.device), dim=0)
        self.rows = torch.cat((self.rows, new))
        self.open = torch.cat((self.open, torch.ones(len(new), dtype=torch.bool)))
        self._record(torch.arange(len(self.rows) - len(new), len(self.rows)), logits)

    def step(self) -> None:
        """Decodes one token in every row."""
        positions, mask = self.cache.begin_step(self.device)
        if self.model.config._attn_implementation == "eager":
            mask = torch.zeros_like(mask, dtype=self.model.dtype).masked_fill_(~mask, torch.finfo(self.model.dtype).min)
        last = self.tokens[self.rows, (self.counts[self.rows] - 1)]
        output = self.model(
            input_ids=last[:, None].to(self.device),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.cache.end_step()
        self._record(torch.arange(len(self.rows)), output.logits[:, -1])

    def _record(self, places: Tensor, logits: Tensor) -> None:
        """Draws and stores one token for each of these rows of the batch that is still open."""
        places = places[self.open[places]]
        logits = logits if len(places) == len(logits) else logits[self.open[-len(logits) :].to(logits.device)]
        numbers = self.rows[places]
        counts, seeds = self.counts[numbers], self.seeds[numbers]
        logprobs = log_distribution(logits, self.sampling.temperature, self.sampling.top_p)
        greedy = self.sampling.temperature == 0
        drawn = draw(logprobs, seeds.to(self.device), counts.to(self.device), greedy)
        chosen = logprobs.gather(1, drawn[:, None])[:, 0].float().cpu()
        ended = torch.isin(drawn, self.ends).cpu()
        self._grow(int(counts.max()) + 1)
        self.tokens[numbers, counts] = drawn.cpu()
        self.logprobs[numbers, counts] = chosen
        self.counts[numbers] = counts + 1
        self.finished[numbers] = ended
        self.open[places] = ~ended & (counts + 1 < self.limits[numbers])

    def _grow(self, width: int) -> None:
        if width > self.tokens.shape[1]:
            more = min(2 * width, self.sampling.max_new_tokens) - self.tokens.shape[1]
            self.tokens = torch.nn.functional.pad(self.tokens, (0, more))
            self.logprobs = torch.nn.functional.pad(self.logprobs, (0, more))

    def drop_ended(self, now: bool) -> None:
        """Takes ended rows out of the batch: at once where requests wait, else when there are enough of them."""
        going = int(self.open.sum())
        idle = len(self.rows) - going
        if idle and (now or not going or idle >= _IDLE_SHARE * len(self.rows)):
            keep = self.open.nonzero()[:, 0]
            self.cache.keep(keep)
            self.rows, self.open = self.rows[keep], self.open[keep]

    def rollouts(self) -> list[Rollout]:
        """The responses, in the order of the requests."""
        return [
            Rollout(
                prompt=request.prompt,
                response=self.tokens[number, :count].clone(),
                logprobs=self.logprobs[number, :count].clone(),
                finished=bool(self.finished[number]),
                seed=request.seed,
            )
            for number, (request, count) in enumerate(zip(self.requests, self.counts.tolist(), strict=True))
        ]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients, and the mode that was found afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
