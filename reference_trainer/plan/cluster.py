"""The clock of a simulated step: continuous batching on every engine, an update on every rank."""

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference_trainer.plan.rates import Decoding, Training


@dataclass(frozen=True)
class Sampler:
    """Engines that sample side by side.

    Attributes:
        engines: Copies of the model.
        rows: Most responses that an engine decodes at a time: its limit, or what its cache holds of mean length.
        decoding: Speed of an engine.
        prompt_tokens: Of every prompt.
    """

    engines: int
    rows: int
    decoding: Decoding
    prompt_tokens: int

    def seconds(self, lengths: NDArray[np.int64]) -> float:
        """Of sampling [prompts, responses] lengths: the slowest engine's.

        Responses are dealt out one by one, so that the long ones of a hard prompt do not meet on one engine.
        """
        flat = lengths.reshape(-1)
        queues = [flat[first :: self.engines] for first in range(min(self.engines, len(flat)))]
        size = max(len(queue) for queue in queues)
        if size <= self.rows:
            return float(self._unqueued(queues, size).max())
        return max(self._queued(queue) for queue in queues)

    def _unqueued(self, queues: list[NDArray[np.int64]], size: int) -> NDArray[np.float64]:
        """[engines] seconds where all responses run from the start: between two ends the batch is constant."""
        ends = np.zeros((len(queues), size), dtype=np.float64)
        for number, queue in enumerate(queues):
            ends[number, size - len(queue) :] = np.sort(queue)
        before = np.concatenate([np.zeros((len(queues), 1)), ends[:, :-1]], axis=1)
        rows = np.arange(size, 0, -1, dtype=np.float64)
        weights = np.array([self.decoding.weights_read(row) for row in rows])
        context = rows * (self.prompt_tokens + before)
        return np.asarray(self._segment(ends - before, rows, weights, context).sum(1))

    def _queued(self, queue: NDArray[np.int64]) -> float:
        """Seconds of one engine that starts a waiting response whenever one ends, in the order of the batch."""
        waiting = list(reversed(queue.tolist()))
        running: list[tuple[int, int]] = []  # the tick at which a running response ends, and its length
        weights = [self.decoding.weights_read(rows) for rows in range(self.rows + 1)]
        tick, context, seconds = 0, 0.0, 0.0
        while running or waiting:
            while waiting and len(running) < self.rows:
                length = waiting.pop()
                heapq.heappush(running, (tick + length, length))
                context += self.prompt_tokens
            rows, ticks = len(running), running[0][0] - tick
            seconds += float(self._segment(ticks, rows, weights[rows], context))
            context += rows * ticks
            tick += ticks
            while running and running[0][0] == tick:
                context -= self.prompt_tokens + heapq.heappop(running)[1]
        return seconds

    def _segment(self, ticks: Any, rows: Any, weights: Any, context: Any) -> Any:
        """Seconds of ``ticks`` tokens of each of ``rows`` responses that begin with ``context`` cached tokens.

        The batch does not change meanwhile, and the cache grows by ``rows`` a tick: a sum in closed form. Numbers, or
        arrays of one shape.
        """
        decoding = self.decoding
        cached = decoding.shape.kv_bytes(decoding.width) * (ticks * context + rows * ticks * (ticks - 1) / 2)
        computed = 2 * decoding.shape.multiplied * rows * ticks / decoding.flops
        return np.maximum((weights * ticks + cached) / decoding.bytes_per_second, computed)


@dataclass(frozen=True)
class Cluster:
    """Engines that sample and ranks that train, in turns, on the same GPUs.

    Attributes:
        gpus: Ranks of the trainer.
        sampler: The engines.
        training: Speed of a rank.
        forwards: Forward passes of an update beside the one with a gradient.
        overhead_seconds: Of a step.
    """

    gpus: int
    sampler: Sampler
    training: Training
    forwards: int
    overhead_seconds: float

    def training_seconds(self, kept: NDArray[np.int64]) -> float:
        """Of an update on the leading ``kept`` tokens of each response: the slowest rank's.

        Every gpus-th sequence that has a token goes to a rank, as ``UpdateBatch.share`` does.
        """
        sequences = kept[kept > 0].astype(np.float64) + self.sampler.prompt_tokens
        if not sequences.size:
            return 0.0
        padded = np.zeros(-(-len(sequences) // self.gpus) * self.gpus)
        padded[: len(sequences)] = sequences
        ranks = padded.reshape(-1, self.gpus)
        tokens, squares = ranks.sum(0), (ranks**2).sum(0)
        pairs = zip(tokens.tolist(), squares.tolist(), strict=True)
        return max(self.training.seconds(count, square, self.forwards) for count, square in pairs)
