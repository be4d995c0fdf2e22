"""The update on several ranks, played by threads, against one process."""

import threading
from functools import partial
from typing import Any

import pytest
import torch

from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from tests.reference_trainer.engine.probe import EXACT, STRONG, Probe, assert_same_metrics


class Meeting:
    """An all-reduce among threads, each of which plays a rank."""

    def __init__(self, ranks: int):
        self.barrier, self.values = threading.Barrier(ranks, timeout=60), [None] * ranks

    def gather(self, rank: int, value: Any) -> list[Any]:
        self.values[rank] = value
        self.barrier.wait()
        values = list(self.values)
        self.barrier.wait()
        return values


class Rank(Probe):
    """An executor that keeps the contract of ``UpdateEngine`` for several ranks."""

    def join(self, meeting: Meeting, rank: int, ranks: int) -> "Rank":
        self.meeting, self.rank, self.world_size = meeting, rank, ranks
        self.passes = self.forwards = 0
        return self

    def _score(self, batch, **kwargs):
        self.forwards += 1
        return super()._score(batch, **kwargs)

    def _sum_over_ranks(self, values):
        return torch.stack(self.meeting.gather(self.rank, values)).sum(0)

    def _max_over_ranks(self, value):
        return max(self.meeting.gather(self.rank, value))

    def _backward(self, loss):
        self.passes += 1
        super()._backward(loss)

    def _apply_gradients(self, rate):
        for parameter in self.scorer.model.parameters():
            parameter.grad = self._sum_over_ranks(parameter.grad)
        return super()._apply_gradients(rate)


@pytest.mark.parametrize(("lengths", "ranks"), [([5, 1, 7, 3, 3], 2), ([8, 2], 3), ([4, 4, 4, 4, 4, 4, 9], 2)])
@pytest.mark.parametrize(("tokens", "block"), [(12, None), (30, 12), (10**6, None), (10**6, 12)])
def test_number_of_ranks_changes_nothing(model, batch, lengths, ranks, tokens, block):
    """Also with ranks that hold no sequence, or fewer passes or blocks than others."""
    objective = ObjectiveConfig(**STRONG)
    optimizer = OptimizerConfig(micro_batch_tokens=tokens, block_tokens=block)
    alone = Probe(model(), objective, optimizer)
    expected = alone.update(*alone.prepare([batch(lengths)]))

    meeting, engines = Meeting(ranks), []
    for rank in range(ranks):
        engines.append(Rank(model(), objective, optimizer).join(meeting, rank, ranks))
    results: list[Any] = [None] * ranks

    def work(rank: int) -> None:
        engine = engines[rank]
        results[rank] = engine.update(*engine.prepare([batch(lengths).share(rank, ranks)]))

    threads = [threading.Thread(target=partial(work, rank), daemon=True) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len({(engine.passes, engine.forwards) for engine in engines}) == 1
    for engine, metrics in zip(engines, results, strict=True):
        for name in alone.gradient:
            torch.testing.assert_close(engine.gradient[name], alone.gradient[name], **EXACT, msg=name)
        assert_same_metrics(metrics, expected)
