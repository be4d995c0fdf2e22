"""The scorer against the plain forward pass, and the rollout engine against the scorer."""

import pytest
import torch
from transformers import GraniteMoeSharedConfig, GraniteMoeSharedForCausalLM

from harness.errors import UsageError
from reference_trainer.engine.batch import MicroBatch, collate, passes_of
from reference_trainer.engine.scorer import Scorer
from reference_trainer.objective import token_entropy

EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scores_are_those_of_the_whole_forward_pass(model, batch, temperature):
    policy, made = model(), batch([5, 1, 7])
    scores = Scorer(policy, temperature)(collate(made, [0, 1, 2], torch.device("cpu")))
    for row, (prompt, response) in enumerate(zip(made.prompts, made.responses, strict=True)):
        logits = policy(input_ids=torch.cat([prompt, response])[None]).logits[0, len(prompt) - 1 : -1] / temperature
        k = len(response)
        expected = logits.log_softmax(-1).gather(-1, response[:, None])[:, 0]
        torch.testing.assert_close(scores.logprobs[row, :k], expected, **EXACT)
        torch.testing.assert_close(scores.entropy[row, :k], token_entropy(logits), **EXACT)
        assert (scores.logprobs[row, k:] == 0).all()


def test_chunks_of_the_head_change_neither_value_nor_gradient(model, batch):
    results = []
    for at_once in (1 << 27, 1, 23 * 4):
        policy = model(norm_head=True)
        scorer = Scorer(policy)
        scorer.logits_at_once = at_once
        scores = scorer(collate(batch([5, 1, 7]), [0, 1, 2], torch.device("cpu")), entropy_gradient=True)
        (scores.logprobs.sum() + scores.entropy.sum()).backward()
        results.append((scores, {name: p.grad for name, p in policy.named_parameters()}))
    for scores, gradients in results[1:]:
        torch.testing.assert_close(scores.logprobs, results[0][0].logprobs, **EXACT)
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, results[0][1][name], **EXACT)


def test_tokens_behind_the_cut_are_never_forwarded(batch):
    made = batch([5, 1])
    micro = collate(made, [0, 1], torch.device("cpu"))
    assert micro.input_ids.shape[1] == max(len(p) + len(r) for p, r in zip(made.prompts, made.responses, strict=True))
    assert int(micro.attention.sum()) == sum(map(len, made.prompts)) + 6
    assert int(micro.response_tokens.sum()) == int(micro.predicts.sum()) == 6
    assert micro.input_ids[micro.response_tokens].equal(micro.targets)


@pytest.mark.parametrize("block", [1, 20, 10**6])
@pytest.mark.parametrize("limit", [1, 10, 17, 30, 60, 10**6])
def test_passes_and_blocks_cover_every_sequence_once_within_their_limits(batch, limit, block):
    made = batch([9, 1, 1, 4, 3, 8, 2])
    passes = passes_of(made, limit, block)
    blocks = [numbers for blocks in passes for numbers in blocks]
    assert sorted(i for numbers in blocks for i in numbers) == list(range(7))

    def padded(numbers):
        return len(numbers) * max(made.sizes[i] for i in numbers)

    assert all(len(numbers) == 1 or padded(numbers) <= min(block, limit) for numbers in blocks)
    assert all(len(parts) == 1 or sum(map(padded, parts)) <= limit for parts in passes)
    if limit == 10**6:
        assert len(passes) == 1
    if limit == block == 10**6:
        assert len(blocks) == 1


def test_a_weightless_pass_reaches_every_layer_and_no_loss(model):
    scores = Scorer(model())(MicroBatch.weightless(torch.device("cpu")))
    assert len(scores.router_logits) == 2
    assert scores.logprobs.shape == (1, 1)


def test_a_model_that_scales_its_logits_elsewhere_is_refused():
    sizes = {"vocab_size": 23, "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 2, "num_experts_per_tok": 1}
    scaled = GraniteMoeSharedForCausalLM(GraniteMoeSharedConfig(**sizes, **heads, logits_scaling=8.0))
    with pytest.raises(UsageError, match="GraniteMoeSharedForCausalLM changes its logits"):
        Scorer(scaled)
    Scorer(GraniteMoeSharedForCausalLM(GraniteMoeSharedConfig(**sizes, **heads, logits_scaling=1.0)))


def test_autocast_keeps_reductions_in_float32(model, batch):
    policy = model(dtype=torch.float32)
    exact = Scorer(policy)(collate(batch([5, 3]), [0, 1], torch.device("cpu")))
    rough = Scorer(policy, autocast=True)(collate(batch([5, 3]), [0, 1], torch.device("cpu")))
    assert rough.logprobs.dtype == rough.entropy.dtype == torch.float32
    assert 0 < (rough.logprobs - exact.logprobs).abs().max() < 0.5
