"""Samples from any causal language model that transformers loads: a folder, a GGUF file or a hub name, on CPU or GPU.

Requests come in fixed batches (``batch_size``), because rounding depends on the rows that share a matrix product: the
same batch gives the same samples, so an interrupted batch is drawn again as a whole and only what is missing is kept.
"""

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.backends.checkpoint import find_checkpoint
from harness.backends.decoding import Decoder, Row
from harness.backends.loading import find_device, load_model, load_tokenizer, quiet
from harness.backends.text import PromptText, declared_ends
from harness.errors import UsageError, nearest
from harness.types import Request, Sample, SamplingParams

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TransformersOptions:
    """How the model is loaded.

    Attributes:
        model: Folder, GGUF file or hub name.
        tokenizer: Folder or hub name of a tokenizer, if not the model's own.
        revision: Commit or tag on the hub.
        device: "auto" (GPUs where there are any, else the CPU), "cpu", "cuda", "cuda:1", ...
        dtype: "auto" (float32 on the CPU, the checkpoint's own on GPUs), "float32", "bfloat16" or "float16".
        batch_size: Samples drawn at once; None: 32 on the CPU, 64 on GPUs.
    """

    model: str
    tokenizer: str | None = None
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None


class TransformersBackend:
    """See the module.

    Raises:
        UsageError: Missing extra, no checkpoint, no tokenizer, incomplete weights, unknown dtype or device.
    """

    name = "transformers"
    seedable = True

    def __init__(self, options: TransformersOptions) -> None:
        for package in ("torch", "transformers", "accelerate"):
            if importlib.util.find_spec(package) is None:
                raise UsageError(f"the transformers backend needs {package}: pip install 'ringlite[hf]'")
        # Threads that spin while they wait make a shared machine several times slower; read when torch is first loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if options.dtype not in ("auto", *_DTYPES):
            raise UsageError(
                f"unknown dtype '{options.dtype}'{nearest(options.dtype, _DTYPES)}; known: auto, {', '.join(_DTYPES)}"
            )
        checkpoint = find_checkpoint(options.model, options.revision)
        self._device = find_device(options.device)
        self.batch_size: int | None = options.batch_size or (32 if self._device == "cpu" else 64)
        with quiet():
            tokenizer = load_tokenizer(checkpoint, options.tokenizer)
            self._model = load_model(checkpoint, self._device, options.dtype)
        self._identity = checkpoint.identity()
        text_config = self._model.config.get_text_config()
        ends = declared_ends(self._model.generation_config, text_config, tokenizer)
        self._text = PromptText(tokenizer, checkpoint.name, ends)
        self._decoder = Decoder(self._model, self._text, ends)
        self.context_length: int | None = getattr(text_config, "max_position_embeddings", None)

    def describe(self) -> dict[str, Any]:
        """Model, engine and host, as the contract has it."""
        import torch

        return {
            "model": {
                **self._identity,
                **self._text.hashes(),
                "parameters": sum(p.numel() for p in self._model.parameters()),
                "context_length": self.context_length,
            },
            "engine": {
                "name": self.name,
                "version": importlib.metadata.version("transformers"),
                "dtype": str(self._model.dtype).removeprefix("torch."),
            },
            "host": {
                "torch": torch.__version__,
                "device": torch.cuda.get_device_name() if self._device != "cpu" else "cpu",
                "threads": torch.get_num_threads(),
                "batch_size": self.batch_size,
            },
        }

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        """Draws the requests as one batch and yields each as it ends; cut requests into batches of ``batch_size``."""
        import torch

        rendered = {request.problem_id: self._text.render(request) for request in requests}
        rows = [self._row(request, rendered[request.problem_id][0], params) for request in requests]
        try:
            for row in self._decoder.run(rows, params):
                yield self._sample(benchmark, row, rendered[row.request.problem_id][1], params)
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"the GPU has too little memory for {self.batch_size} samples at once; run the same command with a "
                "smaller --batch-size: what is stored is kept"
            ) from error

    def close(self) -> None:
        """Drops the model."""
        del self._decoder, self._model

    def _row(self, request: Request, prompt: list[int], params: SamplingParams) -> Row:
        room = self.context_length - len(prompt) if self.context_length else None
        limits = [limit for limit in (params.max_tokens, room) if limit is not None]
        return Row(request, prompt, min(limits) if limits else 1 << 30)

    def _sample(self, benchmark: str, row: Row, opened: str, params: SamplingParams) -> Sample:
        request = row.request
        metadata: dict[str, Any] = {}
        if row.cap != params.max_tokens:
            metadata["max_tokens"] = max(row.cap, 0)  # what the context window left of the cap that was asked for
        if opened:
            metadata["opened_by_template"] = opened
        return Sample(
            task=request.task,
            benchmark=benchmark,
            problem_id=request.problem_id,
            index=request.index,
            seed=request.seed,
            response=opened + row.text,
            finish_reason=row.finish,
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.tokens),
            metadata=metadata,
        )
