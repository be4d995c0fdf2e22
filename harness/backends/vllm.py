"""Samples with vLLM in this process's charge: tensor and data parallel over the GPUs of this machine.

Every sample is a request of its own, with its own seed, and goes to the store when it ends. Samples of one problem
follow each other, so that all but the first find their prompt in the prefix cache.
"""

import asyncio
import gc
import importlib.util
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from pydantic import ValidationError

from harness.backends.checkpoint import find_checkpoint
from harness.backends.drawing import Drawing, drawn
from harness.backends.loading import first_line, load_tokenizer, quiet
from harness.backends.text import PromptText, ends_on_disk
from harness.backends.vllm_samples import (
    engine_arguments,
    prompt_of,
    refuse_unlike,
    sample_of,
    sampling_params,
)
from harness.errors import UsageError, nearest
from harness.types import Request, Sample, SamplingParams

if TYPE_CHECKING:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.outputs import CompletionOutput
    from vllm.v1.engine.async_llm import AsyncLLM

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

_AHEAD = 2  # requests handed over for each that vLLM runs at once: its scheduler never waits for this process


@dataclass(frozen=True)
class VllmOptions:
    """How the engine is started.

    Attributes:
        model: Folder or hub name.
        tokenizer: Folder or hub name of a tokenizer, if not the model's own.
        revision: Commit or tag on the hub.
        dtype: "auto" (the checkpoint's own), "float32", "bfloat16" or "float16".
        tensor_parallel: GPUs that one copy of the model is split over.
        data_parallel: Copies of the model.
        batch_size: Samples that one copy draws at once; None: vLLM's choice.
        engine_args: Further arguments of vLLM's ``AsyncEngineArgs``, e.g. ``{"max_model_len": 32768}``.
    """

    model: str
    tokenizer: str | None = None
    revision: str | None = None
    dtype: str = "auto"
    tensor_parallel: int = 1
    data_parallel: int = 1
    batch_size: int | None = None
    engine_args: Mapping[str, Any] = field(default_factory=dict)


class VllmBackend:
    """See the module.

    Raises:
        UsageError: vLLM is missing, does not know an argument, or cannot start with this model on this machine.
    """

    name = "vllm"
    batch_size: int | None = None

    def __init__(self, options: VllmOptions) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise UsageError("the vllm backend needs vllm: pip install 'ringlite[vllm]'")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")  # progress is ours to show
        import vllm
        from vllm.engine.arg_utils import AsyncEngineArgs

        if options.dtype not in get_args(Dtype):
            known = ", ".join(get_args(Dtype))
            raise UsageError(
                f"unknown dtype '{options.dtype}'{nearest(options.dtype, get_args(Dtype))}; known: {known}"
            )
        self._options = options
        further = engine_arguments(options.engine_args, AsyncEngineArgs)
        checkpoint = find_checkpoint(options.model, options.revision)
        refuse_unlike(checkpoint, vllm.__version__)
        with quiet():
            tokenizer = load_tokenizer(checkpoint, options.tokenizer)
        self._ends = ends_on_disk(checkpoint, tokenizer)
        self._text = PromptText(tokenizer, checkpoint.name, self._ends)
        self._identity, self._version = checkpoint.identity(), vllm.__version__
        # The same request gives the same sample only where rounding does not hang on what is drawn beside it.
        self.seedable = os.environ.get("VLLM_BATCH_INVARIANT") == "1"
        self._loop = asyncio.new_event_loop()
        try:
            arguments = AsyncEngineArgs(
                model=str(checkpoint.folder),
                tokenizer=options.tokenizer,
                dtype=cast(Dtype, options.dtype),
                tensor_parallel_size=options.tensor_parallel,
                data_parallel_size=options.data_parallel,
                disable_log_stats=True,
                max_num_seqs=options.batch_size,
                enable_prefix_caching=True,
            )
            self._engine = self._loop.run_until_complete(_start(replace(arguments, **further)))
        except Exception as error:
            self._loop.close()
            raise UsageError(
                f"vLLM cannot start with {checkpoint.name} ({_reason(error)}); what it printed above says more, and "
                '--engine-args takes its settings, e.g. \'{"max_model_len": 32768, "gpu_memory_utilization": 0.8}\''
            ) from error
        self.context_length: int = self._engine.model_config.max_model_len
        self._numbers = itertools.count()

    def describe(self) -> dict[str, Any]:
        """Model, engine and host, as the contract has it."""
        import torch

        config = self._engine.vllm_config
        return {
            "model": {**self._identity, **self._text.hashes(), "context_length": self.context_length},
            "engine": {
                "name": self.name,
                "version": self._version,
                "dtype": str(self._engine.model_config.dtype).removeprefix("torch."),
                "engine_args": dict(self._options.engine_args),
            },
            "host": {
                "torch": torch.__version__,
                "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
                "tensor_parallel": self._options.tensor_parallel,
                "data_parallel": self._options.data_parallel,
                "batch_size": config.scheduler_config.max_num_seqs,
            },
        }

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        """Yields samples as they end; at most twice as many are unfinished as vLLM draws at once."""
        width = _AHEAD * self._engine.vllm_config.scheduler_config.max_num_seqs * self._options.data_parallel
        drawing = Drawing(lambda request: self._draw(benchmark, request, params), iter(requests))
        # vLLM draws in processes of its own, also while this loop stands still and a sample is graded.
        yield from drawn(self._loop, drawing, min(width, len(requests)))

    async def _draw(self, benchmark: str, request: Request, params: SamplingParams) -> Sample:
        from vllm import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        prompt = prompt_of(request, self._text, params, self.context_length)
        output: CompletionOutput | None = None
        if prompt.cap > 0:
            number = f"{request.problem_id}-{request.index}-{next(self._numbers)}"
            theirs = sampling_params(request, prompt, params, self._ends)
            try:
                async for part in self._engine.generate(TokensPrompt(prompt_token_ids=prompt.tokens), theirs, number):
                    output = part.outputs[0]  # one part: the final one
            except (EngineDeadError, EngineGenerateError) as error:
                raise UsageError(
                    f"vLLM failed at the sample {request.index} of {request.problem_id} ({_reason(error)}); what it "
                    "printed above says more. What is stored is kept: the same command goes on from there"
                ) from error
        return sample_of(benchmark, request, prompt, params, self._text, output)

    def close(self) -> None:
        """Ends vLLM's processes."""
        self._engine.shutdown()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
        del self._engine  # its destructor must not be left to the end of the interpreter
        gc.collect()


async def _start(arguments: "AsyncEngineArgs") -> "AsyncLLM":
    """Inside the loop, which the engine's sockets belong to."""
    from vllm.v1.engine.async_llm import AsyncLLM

    return AsyncLLM.from_engine_args(arguments)


def _reason(error: Exception) -> str:
    """One line; vLLM's settings are checked by pydantic, which puts a headline before what is wrong."""
    if isinstance(error, ValidationError):
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return first_line(error)
