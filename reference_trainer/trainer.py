"""What a stage that trains is, whatever it trains on: an engine, a stream, settings, and the state of all three."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from reference_trainer.config import Switches
from reference_trainer.engine import UpdateEngine
from reference_trainer.stream import PromptStream

Config = TypeVar("Config", bound=Switches)


class Trainer(ABC, Generic[Config]):
    """A stage that ``loop.run`` advances one step a call: ``RLTrainer`` and ``SFTTrainer``.

    Args:
        engine: What updates the policy, on one rank or many.
        stream: What the steps draw from.
        config: The stage's settings.

    Attributes:
        steps: Steps done.
    """

    def __init__(self, engine: UpdateEngine, stream: PromptStream, config: Config):
        self.engine, self.stream, self.config = engine, stream, config
        self.steps = 0

    @abstractmethod
    def step(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Does one more; returns its metrics, a function of the seed, and its timings, which are not."""

    def state_dict(self) -> dict[str, Any]:
        """All that the next steps depend on, but for the global generators."""
        return {
            "settings": self.config.model_dump_json(),
            "engine": self.engine.state_dict(),
            "stream": self.stream.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores ``state_dict``.

        Raises:
            UsageError: The state is of other settings, another model, or other data.
        """
        self.config.refuse_other(type(self.config).model_validate_json(state["settings"]), "the checkpoint")
        self.engine.load_state_dict(state["engine"])
        self.stream.load_state_dict(state["stream"])
        self.steps = int(state["steps"])
