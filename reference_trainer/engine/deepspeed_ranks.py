"""The ranks of a DeepSpeed run: how a process joins them, and what they tell each other."""

import atexit
import logging
import os
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import HashStore

from harness.errors import UsageError


class Ranks:
    """All processes that ``torchrun`` or ``deepspeed`` started; this one alone where neither did.

    Args:
        timeout_minutes: Longest wait for the other ranks, after which the job ends with an error.

    Attributes:
        rank: Number of this process.
        world_size: Processes in all.
        device: The GPU of this rank, or the CPU.

    Raises:
        UsageError: DeepSpeed is not installed.
    """

    def __init__(self, timeout_minutes: int):
        gpu = torch.cuda.is_available()
        os.environ.setdefault("LOCAL_RANK", "0")
        if not gpu:
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        self.deepspeed = load_deepspeed()
        self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
        if gpu:
            torch.cuda.set_device(self.device)
        timeout = timedelta(minutes=timeout_minutes)
        backend = "nccl" if gpu else "gloo"
        if not dist.is_initialized():
            where: dict[str, Any] = {"device_id": self.device} if gpu else {}
            if "RANK" not in os.environ:
                where |= {"store": HashStore(), "rank": 0, "world_size": 1}
            dist.init_process_group(backend, timeout=timeout, **where)
            atexit.register(_leave)
        self.deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, timeout=timeout)
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        # Statistics and python objects live on the CPU, where NCCL does not reach.
        self._group = dist.new_group(backend="gloo", timeout=timeout) if gpu else dist.group.WORLD

    def sum(self, values: Tensor) -> Tensor:
        """The sum over ranks, on the device of ``values``."""
        total = values.detach().clone()
        dist.all_reduce(total, group=None if total.is_cuda else self._group)
        return total

    def max(self, value: int) -> int:
        """The largest value of any rank."""
        largest = torch.tensor(value)
        dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=self._group)
        return int(largest)

    def gather(self, value: Any) -> list[Any]:
        """The value of every rank, in their order, on every rank."""
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, group=self._group)
        return values


def _leave() -> None:
    """Ends the group's threads: left to the interpreter's own end they may abort the process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def load_deepspeed() -> Any:
    """Imports DeepSpeed, quietly and without its compiled helper for inference on CPUs.

    That helper reduces over shared memory in inference only; building it takes a compiler and about a minute.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import deepspeed
        import deepspeed.ops
        from deepspeed.accelerator import get_accelerator
    except ImportError as error:
        raise UsageError(
            f"engine.kind 'deepspeed' needs the package deepspeed ({error}); install it with: "
            "pip install 'ringlite[deepspeed]'"
        ) from error
    logging.getLogger("DeepSpeed").setLevel(os.environ.get("DS_LOG_LEVEL", "error").upper())
    if get_accelerator().device_name() == "cpu":
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed
