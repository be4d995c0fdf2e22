"""An engine that keeps its gradient, and comparisons of what updates give."""

from typing import Any

import pytest
import torch

from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine import OneProcessEngine, UpdateBatch

EXACT = {"rtol": 0, "atol": 1e-12}
# Coefficients large enough for every term to move the gradient.
STRONG = {
    "kl_coefficient": 0.3,
    "entropy_coefficient": 0.2,
    "balance_coefficient": 0.5,
    "z_coefficient": 0.1,
}


class Probe(OneProcessEngine):
    """Keeps the gradient of the last update, before clipping."""

    def _apply_gradients(self, rate: float) -> float:
        self.gradient = {n: p.grad.clone() for n, p in self.scorer.model.named_parameters() if p.grad is not None}
        return super()._apply_gradients(rate)


def gradient_of(
    model: Any, batch: UpdateBatch, tokens: int = 10**6, block: int | None = None, **objective: Any
) -> tuple[dict, dict]:
    settings_ = OptimizerConfig(micro_batch_tokens=tokens, block_tokens=block)
    engine = Probe(model, ObjectiveConfig(**{**STRONG, **objective}), settings_)
    for parameter in engine.reference.parameters() if engine.reference else ():
        parameter.data += 0.05 * torch.sin(torch.arange(parameter.numel()).view(parameter.shape).to(parameter))
    (prepared,) = engine.prepare([batch])
    metrics = engine.update(prepared)
    return engine.gradient, metrics


def assert_same_metrics(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, list):
            torch.testing.assert_close(torch.tensor(got[name]), torch.tensor(value), **EXACT, msg=name)
        else:
            assert got[name] == pytest.approx(value, abs=1e-12), name
