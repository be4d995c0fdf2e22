"""The processes that a launcher started for one run: rank 0 decides and writes, all train."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from harness.errors import UsageError
from reference_trainer.engine.settings import EngineConfig

T = TypeVar("T")


class Team:
    """This process alone.

    Attributes:
        rank: Number of this process.
        size: Processes in all.
    """

    rank, size = 0, 1

    def gather(self, value: Any) -> list[Any]:
        """The value of every rank, in their order, on every rank."""
        return [value]

    def first(self, work: Callable[[], T]) -> T:
        """What ``work`` gives on rank 0, which alone does it; the others wait for it."""
        value: T = self.gather(work() if self.rank == 0 else None)[0]
        return value


class LaunchedTeam(Team):
    """All processes of ``torchrun`` or ``deepspeed``."""

    def __init__(self, timeout_minutes: int):
        from reference_trainer.engine.deepspeed_ranks import Ranks

        self._ranks = Ranks(timeout_minutes)
        self.rank, self.size = self._ranks.rank, self._ranks.world_size

    def gather(self, value: Any) -> list[Any]:
        """See ``Team``."""
        return self._ranks.gather(value)


def launched_team(engine: EngineConfig) -> Team:
    """The team that this process is in.

    Raises:
        UsageError: A launcher started several processes for an engine of one, or DeepSpeed is missing.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team()
    if engine.kind != "deepspeed":
        raise UsageError(
            f"the launcher started {size} processes, and engine.kind '{engine.kind}' trains in one: set engine.kind to "
            "deepspeed, or start ringlite without a launcher"
        )
    return LaunchedTeam(engine.timeout_minutes)


def launched_rank() -> int:
    """The rank that a launcher gave this process, 0 without one."""
    return int(os.environ.get("RANK", "0"))
