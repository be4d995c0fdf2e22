"""The order in which a stage draws its prompts: seeded, without replacement in an epoch, resumable."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from harness.errors import UsageError

StageTwoData = Literal["code_and_science", "with_math_replay"]


@dataclass(frozen=True)
class Prompt:
    """One problem of a stage.

    Attributes:
        id: Stable and unique within the stage.
        tokens: Token ids of the rendered prompt, at least one.
        gold: What the verifier compares with.
        domain: "math", "code", "science", ...
        metadata: Anything else that a reward or a report wants.
    """

    id: str
    tokens: tuple[int, ...]
    gold: Any = None
    domain: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


def stage_prompts(prompts: Sequence[Prompt], stage: int, stage_two: StageTwoData = "code_and_science") -> list[Prompt]:
    """The prompts of one reinforcement-learning stage, in their order.

    Stage 1 is mathematics; stage 2 is code and science, ``with_math_replay`` all domains.
    """
    math_too = stage == 1 or stage_two == "with_math_replay"
    return [prompt for prompt in prompts if (math_too if prompt.domain == "math" else stage == 2)]


class PromptStream:
    """Endless epochs over ``prompts``, each a permutation that depends on the seed and the epoch's number alone.

    Args:
        prompts: The stage's problems in a fixed order.
        seed: Of the shuffle.

    Raises:
        UsageError: No prompt at all, an empty prompt, or an id that stands twice.
    """

    def __init__(self, prompts: Sequence[Prompt], seed: int):
        self.prompts = list(prompts)
        self.seed = seed
        self.epoch = 0
        self.position = 0
        if not self.prompts:
            raise UsageError("the stage has no prompt: check its data source and filters")
        seen: set[str] = set()
        for prompt in self.prompts:
            if prompt.id in seen:
                raise UsageError(f"prompt id '{prompt.id}' stands twice in the stage: ids must be unique")
            if not prompt.tokens:
                raise UsageError(f"prompt '{prompt.id}' has no token: a prompt needs at least one")
            seen.add(prompt.id)
        self._order = self._permutation()

    def draw(self, count: int) -> list[Prompt]:
        """The next ``count`` prompts; goes on into the next epoch where this one ends."""
        drawn: list[Prompt] = []
        while len(drawn) < count:
            if self.position == len(self.prompts):
                self.epoch, self.position = self.epoch + 1, 0
                self._order = self._permutation()
            drawn.append(self.prompts[self._order[self.position]])
            self.position += 1
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands, and a fingerprint of what it draws from."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position, "prompts": self._fingerprint()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where ``state`` stands.

        Raises:
            UsageError: The state is of other prompts or of another seed.
        """
        if state["prompts"] != self._fingerprint() or state["seed"] != self.seed:
            what = "another seed" if state["prompts"] == self._fingerprint() else "other prompts"
            raise UsageError(
                f"the checkpoint's data order is that of {what}: resume with the data and seed the run began with"
            )
        self.epoch, self.position = int(state["epoch"]), int(state["position"])
        self._order = self._permutation()

    def _permutation(self) -> list[int]:
        generator = np.random.default_rng([self.seed, self.epoch])
        return [int(i) for i in generator.permutation(len(self.prompts))]

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for prompt in self.prompts:
            digest.update(repr((prompt.id, prompt.tokens)).encode())
        return digest.hexdigest()
