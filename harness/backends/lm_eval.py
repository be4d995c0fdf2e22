"""Samples from any model class of lm-evaluation-harness: ``hf``, ``vllm``, ``local-chat-completions``, ...

lm-eval hands back bare text, so finish reasons are unknown here; where an own backend exists, it says more.

The seed trap: lm-eval's API models send one fixed seed (1234 by default) with every request, and a server that keeps
to it returns the same text n times. Here every request of a call gets a seed of its own sample number, a seed fixed
by the user is refused when several samples are asked for, and n equal responses at temperature > 0 end the run.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp

from harness.errors import UsageError, nearest
from harness.types import Request, Sample, SamplingParams

_AT_ONCE = 64  # requests a call: lm-eval returns nothing before a call ends, and what is returned is stored
_SECRET = re.compile(r"((?:key|token|password|secret)[^=,]*=)[^,]*", re.IGNORECASE)
_TELLING_PROBLEMS = 4  # so many problems, all with equal samples, are no accident


class LmEvalBackend:
    """See the module.

    Args:
        model: Registered name of the model class.
        arguments: lm-eval's ``model_args``: ``pretrained=...,dtype=...``.

    Raises:
        UsageError: Missing extra, unknown class, or arguments that the class refuses.
    """

    name = "lm_eval"
    seedable = True
    batch_size: int | None = _AT_ONCE

    def __init__(self, model: str, arguments: str = "") -> None:
        if importlib.util.find_spec("lm_eval") is None:
            raise UsageError("the lm_eval backend needs lm-evaluation-harness: pip install 'ringlite[lm-eval]'")
        from lm_eval.api.registry import get_model, model_registry

        importlib.import_module("lm_eval.models")  # fills the registry

        known = sorted(model_registry.keys())
        if model not in known:
            raise UsageError(f"lm-eval has no model class '{model}'{nearest(model, known)}; known: {', '.join(known)}")
        self._model, self._arguments = model, arguments
        try:
            self._lm: Any = get_model(model).create_from_arg_string(arguments)
        except (ImportError, OSError, TypeError, ValueError, AssertionError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(
                f"lm-eval's model '{model}' does not start with '{_hidden(arguments)}': {reason}"
            ) from error
        self._seen: dict[tuple[str, str], list[bytes]] = defaultdict(list)

    def describe(self) -> dict[str, Any]:
        """Model and engine as lm-eval names them; their weights are lm-eval's affair, so there is no hash."""
        return {
            "model": {"name": f"{self._model}:{_hidden(self._arguments)}", "hash": None, "revision": None},
            "engine": {"name": self.name, "version": importlib.metadata.version("lm-eval"), "class": self._model},
            "host": {},
        }

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        """Draws one batch of the plan; calls with one seed hold one sample of a problem at most.

        Raises:
            UsageError: The class cannot render chats, keeps to one seed, or returned equal texts.
        """
        self._refuse_fixed_seed(requests, params)
        by_number: dict[int, list[Request]] = defaultdict(list)
        for request in requests:
            by_number[request.index].append(request)
        for number in sorted(by_number):
            group = by_number[number]
            seed = group[0].seed % 2**31
            self._plant(seed)
            for request, response in zip(group, self._call(group, params), strict=True):
                if params.temperature > 0:
                    self._refuse_copies(request, response)
                yield Sample(
                    request.task, benchmark, request.problem_id, request.index, seed, response, finish_reason="unknown"
                )

    def close(self) -> None:
        """Drops the model."""
        del self._lm

    def _call(self, group: Sequence[Request], params: SamplingParams) -> list[str]:
        from lm_eval.api.instance import Instance

        arguments = self._generation(params)
        instances = [
            Instance("generate_until", {}, (self._render(request), dict(arguments)), 0, (request.task, i, 1))
            for i, request in enumerate(group)
        ]
        try:
            responses = self._lm.generate_until(instances, disable_tqdm=True)
        except (aiohttp.ClientError, OSError) as error:
            raise UsageError(
                f"the server behind lm-eval's '{self._model}' failed ({error}); what is stored is kept, and the same "
                "command goes on from there"
            ) from error
        if len(responses) != len(group) or not all(isinstance(response, str) for response in responses):
            raise UsageError(
                f"lm-eval's model '{self._model}' lost responses (see its log above); what is stored is kept, and the "
                "same command goes on from there"
            )
        return list(responses)

    def _render(self, request: Request) -> Any:
        messages = [dict(message) for message in request.messages]
        if request.style == "completion":
            return "\n\n".join(message["content"] for message in messages)
        try:
            return self._lm.apply_chat_template(messages)
        except NotImplementedError:
            raise UsageError(
                f"lm-eval's model '{self._model}' has no chat template; use a chat class or --prompt-style completion"
            ) from None
        except ValueError as error:
            raise UsageError(f"lm-eval's model '{self._model}' cannot render a chat: {error}") from error

    def _generation(self, params: SamplingParams) -> dict[str, Any]:
        sampled = params.temperature > 0
        arguments: dict[str, Any] = {"until": list(params.stop), "do_sample": sampled}
        if sampled:
            arguments |= {"temperature": params.temperature, "top_p": params.top_p}
            # transformers would fall back to its own top-k of 50; servers may not know the field at all.
            if params.top_k or self._is_local():
                arguments["top_k"] = params.top_k
        if params.max_tokens is not None:
            arguments["max_gen_toks"] = params.max_tokens
        return arguments

    def _is_local(self) -> bool:
        from lm_eval.models.huggingface import HFLM

        return isinstance(self._lm, HFLM)

    def _plant(self, seed: int) -> None:
        """Gives the engine the seed of this call, the way its kind takes one."""
        if hasattr(self._lm, "_seed"):
            self._lm._seed = seed
        if importlib.util.find_spec("torch") is not None:
            import torch

            torch.manual_seed(seed)

    def _refuse_fixed_seed(self, requests: Sequence[Request], params: SamplingParams) -> None:
        fixed = re.search(r"(?:^|,)\s*seed\s*=", self._arguments)
        if fixed and params.temperature > 0 and any(request.index for request in requests):
            raise UsageError(
                f"seed= in '{_hidden(self._arguments)}' asks for one seed in every request, which gives the same text "
                "for every sample of a problem; leave it out: every sample gets a recorded seed of its own"
            )

    def _refuse_copies(self, request: Request, response: str) -> None:
        """One pair of equal texts may be an easy problem; only equal texts in every problem sampled twice tell."""
        mark = hashlib.sha256(response.encode("utf-8", "surrogatepass")).digest()
        self._seen[request.task, request.problem_id].append(mark)
        several = [marks for marks in self._seen.values() if len(marks) > 1]
        if len(several) >= _TELLING_PROBLEMS and all(len(set(marks)) == 1 for marks in several):
            raise UsageError(
                f"the samples of each of {len(several)} problems are the same text: the engine behind lm-eval's "
                f"'{self._model}' samples with a fixed seed or not at all, so these are not independent samples; use "
                "-n 1, or an engine that takes a seed for each request"
            )


def _hidden(arguments: str) -> str:
    """Model arguments without what looks like a credential."""
    return _SECRET.sub(r"\1***", arguments)
