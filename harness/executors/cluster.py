"""The connection to a Ray cluster. Usage statistics are off, and nothing here needs the internet."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError

OBJECT_STORE_BYTES = 200 << 20
"""Shared memory of a Ray that is started here: chunks and their results are small."""

_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Node:
    """A node of the cluster: its id, its name, its CPUs and GPUs."""

    id: str
    host: str
    cpus: int
    gpus: int


def load_ray() -> Any:
    """The ``ray`` package.

    Raises:
        UsageError: It is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning on every start without GPUs
    try:
        import ray
    except ImportError:
        raise UsageError("--executor ray needs Ray, which is not installed: pip install 'ringlite[ray]'") from None
    return ray


@contextlib.contextmanager
def connected(address: str, cpus: int | None = None) -> Iterator[Any]:
    """Connects to the cluster at ``address`` (see ``Choice.ray_address``) and yields the ``ray`` package.

    A connection that the process has already is used and left open.

    Args:
        address: See ``Choice``.
        cpus: CPUs of a Ray that is started here (``local``); None: the usable ones.

    Raises:
        UsageError: There is no Ray, or no cluster at the address.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    try:
        _connect(ray, address, cpus)
    except Exception as error:  # noqa: BLE001 - a Ray that does not start in time raises the bare class
        ray.shutdown()
        reason = " ".join(str(error).split()).rstrip(".")
        if address == "local":
            raise UsageError(f"Ray cannot be started on this machine ({reason})") from None
        raise UsageError(
            f"no Ray cluster at --ray-address {address} ({reason}); start one with `ray start --head`, name another, "
            "or take --ray-address local"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, cpus: int | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        cpus = cpus or len(os.sched_getaffinity(0))
        own = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        ray.init(address="local", **own, **quiet)
    else:
        _knock(address if address != "auto" else os.environ.get("RAY_ADDRESS", ""))
        ray.init(address=address, **quiet)


def _knock(address: str) -> None:
    """Raises ``ConnectionError`` for an address that nobody answers at: Ray itself would try for minutes."""
    if "://" in address:
        raise ConnectionError(f"{address} is a client's address; name host:port of the cluster, on one of its nodes")
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()
        except (OSError, OverflowError) as error:
            raise ConnectionError(str(error)) from None


def nodes(ray: Any) -> list[Node]:
    """The nodes that are alive."""
    return [
        Node(
            node["NodeID"],
            node["NodeManagerHostname"],
            int(node["Resources"].get("CPU", 0)),
            int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
