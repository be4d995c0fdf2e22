"""A key-value cache of slots: every row has its own length, rows come and go."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache


class SlotCache(Cache):
    """Keys and values of rows that stand at different positions, for decoding one token a row.

    Row r holds its tokens at places 0 to ``lengths[r]`` - 1. A decoding step writes each row's new key and value at
    place ``lengths[r]`` and returns the places up to the longest row; ``mask`` says which of them are real.
    """

    def __init__(self, layers: int) -> None:
        super().__init__(layers=[])
        self.keys: list[Tensor | None] = [None] * layers
        self.values: list[Tensor | None] = [None] * layers
        self.lengths = torch.empty(0, dtype=torch.long)
        self.capacity = self.width = 0

    def reserve(self, places: int) -> None:
        """Makes room for rows of this many tokens; grows by half so that a long response copies seldom."""
        if places <= self.capacity:
            return
        self.capacity = max(places, self.capacity * 3 // 2)
        for store in (self.keys, self.values):
            for layer, tensor in enumerate(store):
                if tensor is not None:
                    store[layer] = torch.nn.functional.pad(tensor, (0, 0, 0, self.capacity - tensor.shape[2]))

    def append(self, prefilled: Any, lengths: list[int], repeats: list[int], room: int) -> None:
        """Adds rows from a left-padded prefill.

        Args:
            prefilled: transformers' cache of the prefill, one row a distinct prompt.
            lengths: Tokens of each prompt.
            repeats: Rows to make of each prompt.
            room: Places to reserve beyond the longest prompt.
        """
        times = torch.tensor(repeats)
        self.reserve(max(lengths) + room)
        for layer, source in enumerate(prefilled.layers):
            for store, padded in ((self.keys, source.keys), (self.values, source.values)):
                fresh = padded.new_zeros(*padded.shape[:2], self.capacity, padded.shape[3])
                for row, length in enumerate(lengths):
                    fresh[row, :, :length] = padded[row, :, padded.shape[2] - length :]
                fresh = fresh.repeat_interleave(times.to(fresh.device), dim=0)
                old = store[layer]
                store[layer] = fresh if old is None else torch.cat((old, fresh))
        self.lengths = torch.cat((self.lengths, torch.tensor(lengths).repeat_interleave(times)))

    def keep(self, rows: Tensor) -> None:
        """Keeps these rows, in this order."""
        for store in (self.keys, self.values):
            for layer, tensor in enumerate(store):
                if tensor is not None:
                    store[layer] = tensor.index_select(0, rows.to(tensor.device))
        self.lengths = self.lengths[rows]

    def begin_step(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Prepares one decoding step.

        Returns:
            Positions of the new tokens [rows, 1], and the mask [rows, 1, 1, width], true at real places.
        """
        self.width = int(self.lengths.max()) + 1
        self.reserve(self.width)
        places = self.lengths.to(device)
        groups = next(tensor.shape[1] for tensor in self.keys if tensor is not None)
        heads = torch.arange(len(places) * groups, device=device).view(-1, groups)
        # Numbers of the new tokens' places, once for all layers: copying rows by number beats indexing by three.
        self._new = (heads * self.capacity + places[:, None]).flatten()
        mask = torch.arange(self.width, device=device)[None] <= places[:, None]
        return places[:, None], mask[:, None, None, :]

    def end_step(self) -> None:
        """Counts the tokens that the step wrote."""
        self.lengths = self.lengths + 1

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes one new token a row, [rows, heads, 1, head_dim], and returns all places in use."""
        key, value = self.keys[layer_idx], self.values[layer_idx]
        assert key is not None
        assert value is not None
        for store, new in ((key, key_states), (value, value_states)):
            store.view(-1, store.shape[3]).index_copy_(0, self._new, new.reshape(-1, store.shape[3]))
        return key[:, :, : self.width], value[:, :, : self.width]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Places in use."""
        return int(self.lengths.max()) if len(self.lengths) else 0
