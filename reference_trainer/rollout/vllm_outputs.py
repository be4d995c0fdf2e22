"""What is asked of vLLM for one response, and what it answers, in the terms of ``Rollout``.

Nothing here runs vLLM: the functions take and return its dataclasses (``vllm.SamplingParams``,
``vllm.outputs.CompletionOutput``, ``vllm.logprobs``), which are alike in 0.24 and 0.33.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.errors import CheckFailed
from reference_trainer.rollout.rollout import Rollout, RolloutRequest, Sampling

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.logprobs import SampleLogprobs
    from vllm.outputs import CompletionOutput


def sampling_params(request: RolloutRequest, sampling: Sampling, ends: Sequence[int], context: int) -> "SamplingParams":
    """vLLM's terms for drawing one response.

    Args:
        request: Its prompt leaves room in the context.
        sampling: How responses are drawn.
        ends: Tokens that end a response; none that a tokenizer or a generation config declares is looked at.
        context: ``max_model_len`` of the engine.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=min(sampling.max_new_tokens, context - len(request.prompt)),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=request.seed,
        stop_token_ids=list(ends),
        ignore_eos=True,
        logprobs=0,  # of the drawn token alone
        flat_logprobs=True,  # a few lists a response, where the other form has a dictionary a token
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def rollout_of(request: RolloutRequest, output: "CompletionOutput", config: Any, router_replay: bool) -> Rollout:
    """The rollout of one finished completion.

    Args:
        request: What was asked for.
        output: vLLM's answer, its log-probabilities taken under ``logprobs_mode="processed_logprobs"``: after
            temperature and top-p, and at temperature 1 where the response is greedy.
        config: The model's configuration.
        router_replay: Whether the experts that vLLM chose come along.

    Raises:
        CheckFailed: The response ended for no reason that a finished response has, or figures are missing.
    """
    if output.finish_reason not in ("stop", "length"):
        raise CheckFailed(
            f"rollout: vLLM ended the response with seed {request.seed} by '{output.finish_reason}', not by an end "
            "token or the length limit; its log has the cause"
        )
    tokens = list(output.token_ids)
    return Rollout(
        prompt=request.prompt,
        response=torch.tensor(tokens, dtype=torch.long),
        logprobs=token_logprobs(tokens, output.logprobs),
        finished=output.finish_reason == "stop",
        seed=request.seed,
        routed_experts=routed_experts(output.routed_experts, len(request.prompt) + len(tokens), config)
        if router_replay
        else None,
    )


def token_logprobs(tokens: Sequence[int], logprobs: "SampleLogprobs | None") -> Tensor:
    """[n] float32, the log-probability of each drawn token; both forms in which vLLM gives them are read."""
    if logprobs is None or len(logprobs) != len(tokens):
        count = 0 if logprobs is None else len(logprobs)
        raise CheckFailed(f"rollout: vLLM gave log-probabilities of {count} tokens for a response of {len(tokens)}")
    try:
        return torch.tensor([logprobs[i][token].logprob for i, token in enumerate(tokens)], dtype=torch.float32)
    except KeyError as error:
        raise CheckFailed(f"rollout: vLLM gave no log-probability of the token that it drew ({error})") from None


def routed_experts(chosen: Any, tokens: int, config: Any) -> Tensor:
    """[tokens, layers, k] int16 from vLLM's [tokens - 1, layers, k] array: the last token is never forwarded there.

    Raises:
        CheckFailed: vLLM returned none or another shape, or rows that no router can have chosen.
    """
    layers, top_k, experts = config.num_hidden_layers, config.num_experts_per_tok, config.num_experts
    expected = (tokens - 1, layers, top_k)
    if chosen is None or chosen.shape != expected:
        found = "none" if chosen is None else f"{list(chosen.shape)}"
        raise CheckFailed(f"rollout: vLLM returned routed experts of shape {found}, not {list(expected)}")
    result = torch.full((tokens, layers, top_k), -1, dtype=torch.int16)
    result[:-1] = torch.from_numpy(chosen.astype("int16"))
    routed = [layer for layer in range(layers) if config.is_moe_layer(layer)]
    ordered = result[:-1, routed].sort(dim=-1).values
    if ((ordered < 0) | (ordered >= experts)).any() or (ordered[..., 1:] == ordered[..., :-1]).any():
        raise CheckFailed(
            "rollout: vLLM returned routed experts that name an expert twice for one token, or one that the model "
            f"does not have ({experts} experts): it has not recorded every token; set router_replay to false"
        )
    return result
