"""Rollouts with vLLM in the trainer's process and on its GPUs (colocated).

vLLM runs its engine and one worker in this process, so that weights pass by reference and take no way through files or
other processes. Under a launcher (``torchrun``, ``deepspeed``) every rank has an engine of its own, and
``tensor_parallel`` neighbouring ranks split one copy of the model; these draw the same requests together.
"""

import copy
import gc
import importlib.util
import os
import tempfile
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor

from harness.errors import CheckFailed, UsageError
from reference_trainer.rollout.rollout import Rollout, RolloutRequest, Sampling, check_prompts
from reference_trainer.rollout.settings import RolloutEngineConfig
from reference_trainer.rollout.vllm_outputs import rollout_of, sampling_params
from reference_trainer.rollout.vllm_weights import load_in_worker, refuse_other_arithmetic

if TYPE_CHECKING:
    from vllm import LLM

_MEMORY = ("weights", "kv_cache")  # vLLM's names of what it can take off the GPU


class VllmEngine:
    """A copy of the policy in vLLM; see ``RolloutEngine``.

    The copy starts without weights, and those of the trainer arrive by ``update_weights``: before the first
    ``generate``, and again after each one under ``sleep: 2``.
    """

    def __init__(self, config: Any, eos_token_ids: int | Iterable[int], settings: RolloutEngineConfig) -> None:
        """Starts vLLM.

        Args:
            config: Configuration of the trained model; any that vLLM has an implementation of under hub names.
            eos_token_ids: Token or tokens that end a response.
            settings: The recipe's section.

        Raises:
            UsageError: vLLM is missing or cannot start, computes another model from this configuration, or there are
                fewer ranks than ``tensor_parallel`` needs.
        """
        if importlib.util.find_spec("vllm") is None:
            raise UsageError("rollout_engine: kind 'vllm' needs vllm: pip install 'ringlite[vllm]'")
        refuse_other_arithmetic(config)
        self._executor = _executor(settings.tensor_parallel)
        self.tensor_parallel = settings.tensor_parallel
        self._config, self._settings = config, settings
        self._ends = [eos_token_ids] if isinstance(eos_token_ids, int) else list(eos_token_ids)
        self._norm_head = bool(getattr(config, "norm_head", False))
        self._awake, self._current = set(_MEMORY), False
        self._llm = self._start()
        self.context = self._llm.model_config.max_model_len

    def _start(self) -> "LLM":
        # Read when the engine is made. In another process neither the weights nor the worker would be within reach.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from vllm import LLM, EngineArgs

        settings = self._settings
        config = copy.deepcopy(self._config)
        if self._norm_head:
            config.norm_head = False  # the head arrives normalised
        config.architectures = config.architectures or [f"{type(config).__name__.removesuffix('Config')}ForCausalLM"]
        with tempfile.TemporaryDirectory(prefix="ringlite-vllm-") as folder:
            config.save_pretrained(folder)
            try:
                arguments = EngineArgs(
                    model=folder,
                    load_format="dummy",
                    skip_tokenizer_init=True,
                    generation_config="vllm",
                    dtype=settings.dtype,
                    tensor_parallel_size=settings.tensor_parallel,
                    distributed_executor_backend=self._executor,
                    gpu_memory_utilization=settings.gpu_memory_utilization,
                    max_num_seqs=settings.max_rows,
                    enforce_eager=settings.enforce_eager,
                    enable_prefix_caching=True,
                    enable_sleep_mode=settings.sleep > 0,
                    enable_return_routed_experts=settings.router_replay,
                    logprobs_mode="processed_logprobs",
                    disable_log_stats=True,
                )
                return LLM.from_engine_args(arguments)
            except (RuntimeError, ValueError, OSError, AssertionError) as error:
                raise UsageError(
                    f"rollout_engine: vLLM cannot start ({_reason(error)}); its log above says more. Lower "
                    "gpu_memory_utilization or max_rows if memory is short, or set kind to transformers"
                ) from error

    def update_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Takes new weights in place, memory that sleeps being woken first.

        Raises:
            CheckFailed: vLLM holds other weights afterwards than those it was sent.
        """
        self._wake("weights")  # written to while they sleep, weights are lost without a word
        wrong = self._llm.collective_rpc(load_in_worker, args=(weights, self._norm_head))
        if any(wrong):
            names = [name for part in wrong for name in part]
            raise CheckFailed(
                f"rollout: after an update vLLM holds other weights than the trainer in {len(names)} places, e.g. "
                f"{names[0]}; its version may not reload this model in place: set kind to transformers"
            )
        self._llm.reset_prefix_cache()  # keys and values of the old weights
        self._current = True

    def generate(self, requests: Sequence[RolloutRequest], sampling: Sampling) -> list[Rollout]:
        """Draws one response a request; see ``RolloutEngine``. The context cuts responses as their limit does.

        Raises:
            UsageError: A prompt is empty or fills the context, or there are no weights to draw with.
            CheckFailed: vLLM gave up on a response.
        """
        from vllm import TokensPrompt

        check_prompts(requests, self.context)
        if not self._current:
            raise UsageError(
                "rollout: vLLM holds no weights; call update_weights first (under sleep 2 before each use)"
            )
        self._wake(*_MEMORY)
        outputs = self._llm.generate(
            [TokensPrompt(prompt_token_ids=request.prompt.tolist()) for request in requests],
            [sampling_params(request, sampling, self._ends, self.context) for request in requests],
            use_tqdm=False,
        )
        replay = self._settings.router_replay
        rollouts = [
            rollout_of(request, output.outputs[0], self._config, replay)
            for request, output in zip(requests, outputs, strict=True)
        ]
        self._sleep()
        return rollouts

    def close(self) -> None:
        """Gives the GPUs back; another engine can then start in this process."""
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        gc.collect()
        torch.cuda.empty_cache()

    def _wake(self, *tags: str) -> None:
        missing = sorted(set(tags) - self._awake, reverse=True)  # weights before the cache, as vLLM wants it
        if missing:
            torch.cuda.empty_cache()  # what the trainer has freed goes back to the driver, where vLLM's allocator asks
            self._llm.wake_up(tags=missing)
            self._awake.update(missing)

    def _sleep(self) -> None:
        level = self._settings.sleep
        if level:
            self._llm.sleep(level=level)
            self._awake.clear()
            self._current = level == 1


def _reason(error: Exception) -> str:
    """The first sentence of vLLM's complaint; its settings are checked by pydantic, which puts a headline before it."""
    if isinstance(error, ValidationError):
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _executor(tensor_parallel: int) -> str | None:
    """vLLM's executor: one of its own where this process is alone, else that of a launcher's ranks."""
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks % tensor_parallel:
        raise UsageError(
            f"rollout_engine: tensor_parallel {tensor_parallel} needs a number of ranks that it divides, and there are "
            f"{ranks}; launch with torchrun --nproc-per-node {tensor_parallel}"
        )
    return "external_launcher" if "RANK" in os.environ and "WORLD_SIZE" in os.environ else None
