"""One sample in vLLM's terms: what is asked for, and what comes back. vLLM itself does not run here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from harness.backends.checkpoint import Checkpoint
from harness.backends.text import PromptText
from harness.errors import UsageError, nearest
from harness.types import Request, Sample, SamplingParams

if TYPE_CHECKING:
    import vllm
    from vllm.outputs import CompletionOutput

# Set by the backend itself, some of them under the name of an option.
_OWN = {
    "model": "--model",
    "tokenizer": "--tokenizer",
    "revision": "--revision",
    "dtype": "--dtype",
    "tensor_parallel_size": "--tensor-parallel",
    "data_parallel_size": "--data-parallel",
    "skip_tokenizer_init": None,
    "trust_remote_code": None,
}


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt.

    Attributes:
        tokens: Its token ids.
        opened: The thinking tag that the chat template opened; it belongs to the response.
        cap: Tokens that may be generated: the cap that was asked for, or what the context leaves of it.
    """

    tokens: list[int]
    opened: str
    cap: int


def prompt_of(request: Request, text: PromptText, params: SamplingParams, context: int) -> Prompt:
    """Renders a request for a context of so many tokens."""
    tokens, opened = text.render(request)
    room = context - len(tokens)
    return Prompt(tokens, opened, room if params.max_tokens is None else min(params.max_tokens, room))


def sampling_params(
    request: Request, prompt: Prompt, params: SamplingParams, ends: frozenset[int]
) -> "vllm.SamplingParams":
    """How one sample is drawn, with its own seed; nothing that vLLM reads from a generation config enters."""
    from vllm import SamplingParams as Theirs
    from vllm.sampling_params import RequestOutputKind

    return Theirs(
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        seed=request.seed,
        max_tokens=prompt.cap,
        stop=list(params.stop) or None,
        stop_token_ids=sorted(ends),
        ignore_eos=True,  # it stands among the stop tokens
        detokenize=bool(params.stop),  # text is made of the tokens afterwards; only a search for stop strings needs it
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def sample_of(
    benchmark: str,
    request: Request,
    prompt: Prompt,
    params: SamplingParams,
    text: PromptText,
    output: "CompletionOutput | None",
) -> Sample:
    """The sample of a finished completion; ``output`` None stands for a prompt that left no room for one.

    Raises:
        UsageError: vLLM gave up on the request.
    """
    tokens = list(output.token_ids) if output is not None else []
    # A stop string is named in stop_reason; what follows it belongs to the same token and not to the text.
    stopped = output is not None and isinstance(output.stop_reason, str)
    metadata: dict[str, Any] = {}
    if prompt.cap != params.max_tokens:
        metadata["max_tokens"] = max(prompt.cap, 0)
    if prompt.opened:
        metadata["opened_by_template"] = prompt.opened
    return Sample(
        task=request.task,
        benchmark=benchmark,
        problem_id=request.problem_id,
        index=request.index,
        seed=request.seed,
        response=prompt.opened + text.decode_until(tokens, params.stop if stopped else ()),
        finish_reason="length" if output is None else finish_reason(output.finish_reason, request),
        prompt_tokens=len(prompt.tokens),
        completion_tokens=len(tokens),
        metadata=metadata,
    )


def finish_reason(reason: str | None, request: Request) -> Literal["stop", "length"]:
    """Maps vLLM's reasons (``vllm.v1.engine.FinishReason``) to ours.

    Raises:
        UsageError: The request was aborted, failed, or was cut for repeating itself, which nobody asked for.
    """
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length"
    raise UsageError(
        f"vLLM ended the sample {request.index} of {request.problem_id} by '{reason}'; its log has the cause. What is "
        "stored is kept: the same command goes on from there"
    )


def engine_arguments(given: Mapping[str, Any], known: type) -> dict[str, Any]:
    """Checks ``--engine-args`` against vLLM's ``AsyncEngineArgs``.

    Raises:
        UsageError: An unknown argument, or one that the backend sets itself.
    """
    names = {field.name for field in fields(known)}
    for name in given:
        if name in _OWN:
            option = _OWN[name]
            hint = f"use {option}" if option else "the backend sets it itself"
            raise UsageError(f"--engine-args: '{name}' cannot be given there; {hint}")
        if name not in names:
            raise UsageError(f"--engine-args: vLLM has no engine argument '{name}'{nearest(name, names)}")
    return dict(given)


def refuse_unlike(checkpoint: Checkpoint, version: str) -> None:
    """Refuses checkpoints that vLLM does not load, or loads as another model.

    Raises:
        UsageError: A GGUF file, or BailingMoE with ``norm_head`` (Ring-lite) under a vLLM that leaves the norm out.
    """
    if checkpoint.gguf:
        raise UsageError(
            f"the vllm backend reads checkpoint folders, and {checkpoint.name} is a GGUF file; use --backend "
            "transformers, or the folder that the file was made from"
        )
    config = json.loads((checkpoint.folder / "config.json").read_text(encoding="utf-8"))
    release = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if config.get("model_type") == "bailing_moe" and config.get("norm_head") and release < (0, 26):
        raise UsageError(
            f"vLLM {version} loads {checkpoint.name} without normalising its head (norm_head), and samples from "
            "another model; install 0.26 or later: pip install 'vllm>=0.26'"
        )
