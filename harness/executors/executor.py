"""What all executors have in common, and the user's choice of one."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from harness.errors import UsageError, nearest

Item = TypeVar("Item", contravariant=True)
Out = TypeVar("Out", covariant=True)
Result = TypeVar("Result")


class WorkLost(UsageError):
    """One item has lost every worker that took it up; the others are not concerned."""


EXECUTORS = ("local", "ray")
DEFAULT_ADDRESS = "auto"
EXECUTOR_HELP = "local (this machine) or ray (every node of a Ray cluster)."
RAY_ADDRESS_HELP = "auto (RAY_ADDRESS, or this machine's cluster), local (a Ray of its own) or host:port."


class Work(Protocol[Item, Out]):
    """What is done to an item. One object serves all threads of a process; it is made where it works."""

    def __call__(self, item: Item, /) -> Out:
        """Does it; may be called from several threads at once."""
        ...

    def describe(self) -> dict[str, Any]:
        """Versions and switches that results depend on: the same in every worker."""
        ...

    def facts(self) -> dict[str, Any]:
        """What may differ from node to node and is worth recording, e.g. the isolation."""
        ...

    def close(self) -> None:
        """Ends its processes."""
        ...


MakeWork = Callable[[int], Work[Item, Out]]
"""Makes the work of a process that has so many threads for it. A remote executor pickles it."""


class Executor(Protocol[Item, Result]):
    """Does work on items, many at once."""

    @property
    def ahead(self) -> int:
        """Items that may be submitted before a result has to be taken; further submissions wait."""
        ...

    def submit(self, item: Item) -> "Future[Result]":
        """Hands an item over and returns at once, unless ``ahead`` items are unfinished: then it waits for one.

        The future gets the result exactly once, or the error of the work; workers that are lost on the way do not show.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """What ``Work.describe`` says."""
        ...

    def facts(self) -> dict[str, Any]:
        """How and where the work is done, for the record of a run."""
        ...

    def close(self) -> None:
        """Ends the workers. What is unfinished then ends with an error."""
        ...


@dataclass(frozen=True)
class Choice:
    """Which executor a command uses.

    Attributes:
        name: ``local`` or ``ray``.
        ray_address: ``auto`` (RAY_ADDRESS, or the cluster that this machine is part of), ``local`` (a Ray of its own,
            on this machine) or ``host:port``.
    """

    name: str = "local"
    ray_address: str = DEFAULT_ADDRESS

    def __post_init__(self) -> None:
        if self.name not in EXECUTORS:
            raise UsageError(
                f"unknown executor '{self.name}'{nearest(self.name, EXECUTORS)}; known: {', '.join(EXECUTORS)}"
            )
        if self.name == "local" and self.ray_address != DEFAULT_ADDRESS:
            raise UsageError("--ray-address is for --executor ray; give both or neither")

    @property
    def is_ray(self) -> bool:
        """Whether the work goes to a Ray cluster."""
        return self.name == "ray"


LOCAL = Choice()
