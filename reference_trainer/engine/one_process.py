"""The executor of one process: torch on one device."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from harness.errors import UsageError
from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine.batch import MicroBatch
from reference_trainer.engine.optimizer import adamw
from reference_trainer.engine.scorer import Scores
from reference_trainer.engine.update import UpdateEngine, refuse_non_finite, refuse_other_ranks
from reference_trainer.model import hub_weights


class OneProcessEngine(UpdateEngine):
    """Trains ``model`` in place on the device it is on; see ``UpdateEngine`` for the arguments."""

    def __init__(
        self,
        model: Any,
        objective: ObjectiveConfig,
        settings: OptimizerConfig,
        temperature: float = 1.0,
        initial: Any = None,
    ):
        super().__init__(model, objective, settings, temperature, initial)
        self.optimizer = adamw(self.scorer.model, settings)
        self.scorer.train()

    @property
    def device(self) -> torch.device:
        """The device of the first parameter."""
        return next(self.scorer.parameters()).device

    def _score(self, batch: MicroBatch, **kwargs: bool) -> Scores:
        scores: Scores = self.scorer(batch, **kwargs)
        return scores

    def _backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def _apply_gradients(self, rate: float) -> float:
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        limit = self.settings.max_grad_norm
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, float("inf") if limit is None else limit))
        refuse_non_finite(norm, self.updates)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        return values

    def _max_over_ranks(self, value: int) -> int:
        return value

    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """Views of the model's memory."""
        return hub_weights(self.scorer.model)

    def state_dict(self) -> dict[str, Any]:
        """Model, AdamW and reference policy."""
        reference = None if self.reference is None else self.reference.model.state_dict()
        return {
            "model": self.scorer.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "reference": reference,
            "updates": self.updates,
            "ranks": 1,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores ``state_dict`` into this engine's model, AdamW and reference.

        Raises:
            UsageError: The state is that of a model of other shapes, or its budget covered other ranks.
        """
        refuse_other_ranks(state, 1, self.objective)
        try:
            self.scorer.model.load_state_dict(state["model"])
        except RuntimeError as error:
            what = str(error).splitlines()[-1].strip()
            raise UsageError(
                f"the checkpoint is of another model ({what}): resume with the model it was made from"
            ) from None
        self.optimizer.load_state_dict(state["optimizer"])
        if self.reference is not None and state["reference"] is not None:
            self.reference.model.load_state_dict(state["reference"])
        self.updates = int(state["updates"])
