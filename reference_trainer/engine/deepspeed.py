"""The executor of many ranks: DeepSpeed shards optimiser, gradients and weights over them."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from reference_trainer.checkpoint import generator_states, restore_generators
from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine.batch import MicroBatch, UpdateBatch
from reference_trainer.engine.deepspeed_ranks import Ranks
from reference_trainer.engine.deepspeed_state import ShardedState, gathered, refuse_other_weights, set_weight, shape_of
from reference_trainer.engine.optimizer import parameter_groups
from reference_trainer.engine.scorer import Scorer, Scores
from reference_trainer.engine.settings import EngineConfig, deepspeed_config
from reference_trainer.engine.update import UpdateEngine, refuse_non_finite, refuse_other_ranks
from reference_trainer.model.conversion import hub_tensors


class DeepSpeedEngine(UpdateEngine):
    """Trains ``model`` in place on all ranks; see ``UpdateEngine`` for the other arguments.

    Every rank makes it from the same weights and calls every method in the same order. Under ZeRO 3 the weights are
    shards from here on, and so are those of the reference policy.

    Args:
        engine: ZeRO stage, offload, data type, raw DeepSpeed settings.

    Raises:
        UsageError: DeepSpeed is not installed.
    """

    def __init__(
        self,
        model: Any,
        objective: ObjectiveConfig,
        settings: OptimizerConfig,
        temperature: float = 1.0,
        initial: Any = None,
        *,
        engine: EngineConfig,
    ):
        self.ranks = Ranks(engine.timeout_minutes)
        self.rank, self.world_size = self.ranks.rank, self.ranks.world_size
        super().__init__(model, objective, settings, temperature, initial)
        self._config = deepspeed_config(engine, settings)
        self._dtype = torch.bfloat16 if engine.dtype == "bfloat16" else torch.float32
        self._sharded_weights = engine.zero_stage == 3
        self._one_forward = False
        half = engine.dtype == "bfloat16"
        self._adam = self._optimizer(parameter_groups(self.scorer.model, settings, half=half))
        # DeepSpeed puts flat shards into the groups of its optimiser; this one keeps the model's own parameters.
        template = torch.optim.AdamW(parameter_groups(self.scorer.model, settings, half=half), **self._adam_settings)
        self._engine = self._wrap(self.scorer, self._adam)
        self._state = ShardedState(self._engine, self._adam, template, self.ranks)
        self._reference_engine = self._place_reference()
        self.scorer.train()

    @property
    def _adam_settings(self) -> dict[str, Any]:
        settings = self.settings
        return {"lr": settings.learning_rate, "betas": settings.betas, "eps": settings.epsilon}

    def _optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        offload = "offload_optimizer" in self._config["zero_optimization"]
        kind: Any = torch.optim.AdamW
        if offload and self._config.get("zero_force_ds_cpu_optimizer", True):
            from deepspeed.ops.adam import DeepSpeedCPUAdam

            kind = DeepSpeedCPUAdam
        adam: torch.optim.Optimizer = kind(groups, **self._adam_settings)
        return adam

    def _wrap(self, scorer: Scorer, adam: torch.optim.Optimizer | None) -> Any:
        """DeepSpeed's engine over ``scorer``; without ``adam`` for forwards alone."""
        deepspeed, config = self.ranks.deepspeed, dict(self._config)
        if adam is None:
            config["zero_optimization"] = {
                key: value for key, value in config["zero_optimization"].items() if key != "offload_optimizer"
            }
        if self._sharded_weights:
            self._same_modules_on_all_ranks(scorer)
        return deepspeed.initialize(model=scorer, optimizer=adam, config=config)[0]

    def _same_modules_on_all_ranks(self, scorer: Scorer) -> None:
        """Hides from ZeRO 3 which experts get a token: ranks that fetch other modules than their peers wait forever."""
        for module in scorer.modules():
            if _stacks_experts(module):  # its own tensors are always whole, but it may call its activation an expert
                for name, child in list(module.named_children()):
                    if not any(True for _ in child.parameters()):
                        del module._modules[name]
                        module.__dict__[name] = child
        listing = {type(module) for module in scorer.modules() if _lists_experts(module)}
        if listing:
            self.ranks.deepspeed.utils.set_z3_leaf_modules(scorer, list(listing))
            self._one_forward = True

    def _passes(self, batch: UpdateBatch) -> list[list[MicroBatch]]:
        passes = super()._passes(batch)
        # A leaf module of ZeRO 3 hands its gradients on after the first of several forwards.
        return [[block] for blocks in passes for block in blocks] if self._one_forward else passes

    def _place_reference(self) -> Any:
        if self.reference is None:
            return None
        if self._sharded_weights:
            return self._wrap(self.reference, None)
        return self.reference.to(self.device, self._dtype)

    @property
    def device(self) -> torch.device:
        """This rank's GPU, or the CPU."""
        return self.ranks.device

    def _score(self, batch: MicroBatch, **kwargs: bool) -> Scores:
        scores: Scores = self._engine(batch, **kwargs)
        return scores

    def _score_reference(self, batch: MicroBatch) -> Scores:
        scores: Scores = self._reference_engine(batch)
        return scores

    def _backward(self, loss: Tensor) -> None:
        # DeepSpeed takes the mean over ranks; an update is a sum.
        self._engine.backward(loss * self.world_size, scale_wrt_gas=False)

    def _apply_gradients(self, rate: float) -> float:
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._engine.step()
        norm = float(self._engine.get_global_grad_norm())
        refuse_non_finite(norm, self.updates)
        return norm

    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        return self.ranks.sum(values)

    def _max_over_ranks(self, value: int) -> int:
        return self.ranks.max(value)

    def gather(self, value: Any) -> list[Any]:
        """The value of every rank, in their order, on every rank."""
        return self.ranks.gather(value)

    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """Views of whole weights, under ZeRO 3 gathered one at a time; all ranks go through them to the end."""
        for name, parameter in self.scorer.model.named_parameters():
            with gathered(self.ranks.deepspeed, parameter):
                yield from hub_tensors(name, parameter.detach())

    def whole_weights(self) -> AbstractContextManager[None]:
        """In this context the model of each rank is whole and runs without the others; it must not be trained."""
        return _unsharded(self._engine, self.scorer) if self._sharded_weights else super().whole_weights()

    def state_dict(self) -> dict[str, Any]:
        """The state of one process (see ``ShardedState``), whole on rank 0; all ranks call it."""
        reference = None if self.reference is None else self._state.model(self.reference.model)
        return {
            "model": self._state.model(self.scorer.model),
            "optimizer": self._state.optimizer(),
            "reference": reference,
            "updates": self.updates,
            "ranks": self.world_size,
            "generators": self.gather(generator_states()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that any engine saved, from any number of ranks; all ranks call it with the same.

        Raises:
            UsageError: The state is that of another model, or its budget covered other ranks.
        """
        refuse_other_ranks(state, self.world_size, self.objective)
        self._state.load_model(self.scorer.model, state["model"])
        self._state.load_optimizer(state["optimizer"])
        if self.reference is not None and state["reference"] is not None:
            own = self.reference.model.state_dict(keep_vars=True)
            refuse_other_weights({name: shape_of(value) for name, value in own.items()}, state["reference"])
            for name, value in own.items():
                set_weight(self.ranks.deepspeed, value, state["reference"][name])
        self.updates = int(state["updates"])
        # A run's checkpoint has rank 0's generators, which ranks that are new go on with.
        if self.rank < len(generators := state.get("generators", [])):
            restore_generators(generators[self.rank])


def _stacks_experts(module: nn.Module) -> bool:
    """Whether this module holds the experts of a layer as 3-D tensors."""
    return any(parameter.ndim == 3 for parameter in module.parameters(recurse=False))


def _lists_experts(module: nn.Module) -> bool:
    """Whether this module holds the experts of a layer as a list of modules."""
    return any(isinstance(child, nn.ModuleList) and "expert" in name for name, child in module.named_children())


@contextmanager
def _unsharded(engine: Any, scorer: Scorer) -> Iterator[None]:
    """Gathers every weight, and takes off the hooks by which modules fetch and drop theirs."""
    from deepspeed import zero

    offload = engine.optimizer.parameter_offload
    with zero.GatheredParameters(list(scorer.parameters())):
        for parameter in scorer.parameters():
            parameter.ds_active_sub_modules.clear()  # type: ignore[attr-defined]
        for hook in (*offload.forward_hooks, *offload.backward_hooks):
            hook.remove()
        offload.forward_hooks, offload.backward_hooks = [], []
        try:
            yield
        finally:
            offload._register_deepspeed_module(offload.module)
