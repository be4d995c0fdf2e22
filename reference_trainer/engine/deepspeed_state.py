"""Between DeepSpeed's shards and the state of one process: float32 master weights and AdamW's moments by parameter.

The state is that of ``OneProcessEngine``, whole and on the CPU of rank 0, so a run may go on with another ZeRO stage,
another number of ranks or another engine. What is sharded is gathered parameter by parameter.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from reference_trainer.engine.deepspeed_ranks import Ranks

MOMENTS = ("exp_avg", "exp_avg_sq")


class ShardedState:
    """Reads and writes the state of one DeepSpeed engine; every method is called by all ranks together.

    Args:
        engine: Made by ``deepspeed.initialize`` with an AdamW.
        adam: That AdamW.
        template: A torch AdamW over the same groups that holds the model's own parameters and is never stepped.
        ranks: All ranks.
    """

    def __init__(self, engine: Any, adam: torch.optim.Optimizer, template: torch.optim.AdamW, ranks: Ranks):
        self.zero, self.adam, self.ranks = engine.optimizer, adam, ranks
        # torch's own state_dict numbers the parameters of all groups in order; so does this one.
        self.parameters = [parameter for group in template.param_groups for parameter in group["params"]]
        self.groups = template.state_dict()["param_groups"]
        self._sharded = {id(parameter) for parameter in self.parameters}

    def model(self, model: nn.Module) -> dict[str, Tensor]:
        """Every weight and buffer under the model's own names, the trained ones in float32; empty but on rank 0."""
        state: dict[str, Tensor] = {}
        seen: dict[int, Tensor] = {}
        for name, value in model.state_dict(keep_vars=True).items():
            if id(value) not in seen:
                seen[id(value)] = self._keep(self._master(value))
            state[name] = seen[id(value)]
        return state if self.ranks.rank == 0 else {}

    def optimizer(self) -> dict[str, Any]:
        """AdamW's state as torch numbers it; without moments but on rank 0."""
        state: dict[int, dict[str, Tensor]] = {}
        step = self._steps()
        if step:
            self._link()
        for number, parameter in enumerate(self.parameters if step else ()):
            moments = {name: self._keep(self._moment(parameter, name)) for name in MOMENTS}
            if self.ranks.rank == 0:
                state[number] = {"step": torch.tensor(float(step)), **moments}
        return {"state": state, "param_groups": self.groups}

    def load_model(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Writes master weights and the weights that are computed with.

        Raises:
            UsageError: Another model's names or shapes.
        """
        own = model.state_dict(keep_vars=True)
        refuse_other_weights({name: shape_of(value) for name, value in own.items()}, state)
        for name, value in own.items():
            if id(value) in self._sharded:
                self._write(value, state[name])
            set_weight(self.ranks.deepspeed, value, state[name])

    def load_optimizer(self, state: Mapping[str, Any]) -> None:
        """Writes AdamW's moments and step; a parameter that the state does not know has none."""
        moments = state["state"]
        step = max((int(entry["step"]) for entry in moments.values()), default=0)
        if not step and not self._steps():
            return
        self._blank(step)
        for number, parameter in enumerate(self.parameters):
            for name in MOMENTS if number in moments else ():
                self._write(parameter, moments[number][name], name)

    def _keep(self, value: Tensor) -> Tensor:
        """On rank 0 a copy in the host's memory, elsewhere nothing."""
        return value.detach().to("cpu", copy=True) if self.ranks.rank == 0 else torch.empty(0)

    def _master(self, value: Tensor) -> Tensor:
        if id(value) in self._sharded:
            full: Tensor = self.ranks.deepspeed.utils.safe_get_full_fp32_param(value)
            return full
        with gathered(self.ranks.deepspeed, value):
            return value.detach().clone()

    def _moment(self, parameter: nn.Parameter, name: str) -> Tensor:
        full: Tensor = self.ranks.deepspeed.utils.safe_get_full_optimizer_state(parameter, name)
        return full

    def _write(self, parameter: Tensor, value: Tensor, moment: str | None = None) -> None:
        """This rank's part of a master weight or of a moment."""
        utils = self.ranks.deepspeed.utils
        name = () if moment is None else (moment,)
        if not hasattr(parameter, "ds_id"):
            put = utils.safe_set_full_fp32_param if moment is None else utils.safe_set_full_optimizer_state
            put(parameter, value.to(parameter.device, torch.float32), *name)
            return
        # A shard is padded where the size does not divide by the ranks, which the setters of whole tensors overlook.
        size = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        padded = torch.zeros(size * self.ranks.world_size)
        padded[: value.numel()] = value.flatten()
        put = utils.safe_set_local_fp32_param if moment is None else utils.safe_set_local_optimizer_state
        put(parameter, padded[size * self.ranks.rank :][:size], *name)

    def _flat(self) -> list[Tensor]:
        """This rank's flat float32 weights, on which AdamW steps."""
        names = ("single_partition_of_fp32_groups", "fp32_partitioned_groups_flat", "fp32_groups_flat_partition")
        return next(list(getattr(self.zero, name)) for name in names if hasattr(self.zero, name))

    def _steps(self) -> int:
        return max((int(entry["step"]) for entry in self.adam.state.values() if "step" in entry), default=0)

    def _blank(self, step: int) -> None:
        """Moments of zero at this step: AdamW makes its state at its first step only."""
        counts = isinstance(self.adam, torch.optim.AdamW)
        for flat in self._flat():
            self.adam.state[flat] = {
                "step": torch.tensor(float(step)) if counts else step,
                **{name: torch.zeros_like(flat) for name in MOMENTS},
            }
        self._link()

    def _link(self) -> None:
        """Under ZeRO 1 and 2, tells parameters where their moments are: DeepSpeed does so for the first group only."""
        if hasattr(self.zero, "_hp_optimizer_states_linked"):
            self.zero._hp_optimizer_states_linked = False
            self.zero._lazy_init_hp_params_optimizer_state()


@contextmanager
def gathered(deepspeed: Any, *values: Tensor) -> Iterator[None]:
    """Makes ZeRO 3's shards whole; whatever else is left alone."""
    shards = [value for value in values if hasattr(value, "ds_id")]
    with deepspeed.zero.GatheredParameters(shards, enabled=bool(shards)):
        yield


@torch.no_grad()
def set_weight(deepspeed: Any, weight: Tensor, value: Tensor) -> None:
    """Copies ``value`` into a weight that every rank computes with, sharded or not."""
    if not hasattr(weight, "ds_id"):
        weight.copy_(value)
        return
    with deepspeed.zero.GatheredParameters(weight, modifier_rank=0):
        weight.copy_(value)


def shape_of(value: Tensor) -> torch.Size:
    """The shape of the whole weight."""
    return torch.Size(getattr(value, "ds_shape", value.shape))


def refuse_other_weights(own: Mapping[str, torch.Size], state: Mapping[str, Tensor]) -> None:
    """Raises UsageError, naming the first weight that ``state`` lacks, has too many, or has in another shape."""
    for name in sorted(own.keys() | state.keys()):
        here = tuple(own[name]) if name in own else "none"
        there = tuple(state[name].shape) if name in state else "none"
        if here != there:
            raise UsageError(
                f"the checkpoint is of another model (shape of {name}: {there} there, {here} here): resume with the "
                "model it was made from"
            )
