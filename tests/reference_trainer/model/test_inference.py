"""Padding, cache, evaluation mode and generation must not change what is computed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import StaticCache

TOKENS = torch.randint(4, 97, (4, 15), generator=torch.Generator().manual_seed(4))
LENGTHS = [15, 9, 4, 1]
CLOSE = {"atol": 2e-5, "rtol": 1e-5}


def padded(side, filler):
    width = TOKENS.shape[1]
    ids, mask = torch.full_like(TOKENS, filler), torch.zeros_like(TOKENS)
    for row, length in enumerate(LENGTHS):
        place = slice(width - length, width) if side == "left" else slice(0, length)
        ids[row, place], mask[row, place] = TOKENS[row, :length], 1
    return ids, mask


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("filler", [0, 3, 50])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_side_and_content_do_not_matter(build, side, filler, attention):
    model = build(norm_head=True)
    model.set_attn_implementation(attention)
    ids, mask = padded(side, filler)
    logits = model(ids, attention_mask=mask).logits
    assert torch.isfinite(logits).all()
    for row, length in enumerate(LENGTHS):
        alone = model(TOKENS[row : row + 1, :length]).logits[0]
        torch.testing.assert_close(logits[row][mask[row].bool()], alone, **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_gets_no_gradient(build, side):
    model = build()
    filler = 2  # TOKENS has none below 4
    ids, mask = padded(side, filler)
    # The first real token has no predecessor but padding, so it is nobody's label.
    first = (mask.cumsum(-1) == 1) & mask.bool()
    model(ids, attention_mask=mask, labels=ids.masked_fill((mask == 0) | first, -100)).loss.backward()
    gradient = model.model.word_embeddings.weight.grad
    assert gradient[filler].abs().sum() == 0
    assert gradient[TOKENS[0, 0]].abs().sum() > 0


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("chunks", [(15,), (1,) * 15, (8, 1, 1, 5), (3, 12)])
def test_cache_does_not_matter(build, chunks, attention):
    model = build(norm_head=True, first_k_dense_replace=1)
    model.set_attn_implementation(attention)
    ids, mask = padded("left", 3)
    whole = model(ids, attention_mask=mask).logits
    cache, start, parts = None, 0, []
    for size in chunks:
        end = start + size
        output = model(ids[:, start:end], attention_mask=mask[:, :end], past_key_values=cache, use_cache=True)
        cache, start = output.past_key_values, end
        parts.append(output.logits)
    real = mask.bool()
    torch.testing.assert_close(torch.cat(parts, dim=1)[real], whole[real], **CLOSE)


def test_static_cache_does_not_matter(build):
    model = build()
    cache = StaticCache(config=model.config, max_cache_len=32)
    first = model(TOKENS[:, :6], past_key_values=cache, use_cache=True).logits
    second = model(TOKENS[:, 6:], past_key_values=cache, use_cache=True).logits
    torch.testing.assert_close(torch.cat((first, second), dim=1), model(TOKENS).logits, **CLOSE)


def test_the_cache_keeps_keys_beyond_the_unused_window(build):
    """The config names a window of 4 tokens that is not in use: transformers' caches would drop older keys."""
    model = build(sliding_window=4)
    cache = model(TOKENS, use_cache=True).past_key_values
    assert cache.layers[0].keys.shape[2] == TOKENS.shape[1]


@pytest.mark.parametrize("changes", [{}, {"norm_head": True}, {"attention_dropout": 0.0, "use_bias": True}])
def test_eval_equals_train_bitwise(build, changes):
    model = build(**changes)
    assert torch.equal(model.eval()(TOKENS).logits, model.train()(TOKENS).logits)


def test_attention_dropout_acts_in_training_only(build):
    model = build(attention_dropout=0.5)
    assert torch.equal(model.eval()(TOKENS).logits, build()(TOKENS).logits)
    assert not torch.allclose(model.train()(TOKENS).logits, build()(TOKENS).logits, atol=1e-3)


def test_eval_and_generation_change_no_weight(build):
    model = build(norm_head=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        first = model(TOKENS).logits
        model.generate(TOKENS, max_new_tokens=3, do_sample=False)
        assert torch.equal(model(TOKENS).logits, first)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_eval_keeps_the_graph(build):
    model = build().eval()
    assert model(TOKENS).logits.requires_grad


@pytest.mark.parametrize("changes", [{}, {"norm_head": True, "first_k_dense_replace": 1, "head_dim": 24}])
def test_greedy_generation_equals_argmax_step_by_step(build, changes):
    model = build(**changes)
    ids, mask = padded("left", 3)
    generated = model.generate(
        ids, attention_mask=mask, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=3
    )
    for row, length in enumerate(LENGTHS):
        tokens = TOKENS[row : row + 1, :length]
        for _ in range(8):
            tokens = torch.cat((tokens, model(tokens).logits[:, -1:].argmax(-1)), dim=1)
        assert generated[row, ids.shape[1] :].tolist() == tokens[0, length:].tolist()


def test_packed_sequences_by_position_ids(build):
    """Positions that restart at 0 mark a new sequence, as transformers has it for padding-free batches."""
    model = build()
    positions = torch.cat((torch.arange(9), torch.arange(6)))[None]
    packed = model(torch.cat((TOKENS[:1, :9], TOKENS[1:2, :6]), dim=1), position_ids=positions, use_cache=False).logits
    torch.testing.assert_close(packed[:, :9], model(TOKENS[:1, :9]).logits, **CLOSE)
    torch.testing.assert_close(packed[:, 9:], model(TOKENS[1:2, :6]).logits, **CLOSE)


@settings(max_examples=25)
@given(data=st.data())
def test_logits_to_keep_is_a_slice(data):
    from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM
    from tests.reference_trainer.model.shapes import hub_config

    model = BailingMoeForCausalLM(BailingMoeConfig(**hub_config())).eval()
    keep = data.draw(st.integers(1, TOKENS.shape[1]))
    torch.testing.assert_close(model(TOKENS, logits_to_keep=keep).logits, model(TOKENS).logits[:, -keep:], **CLOSE)


def test_requested_outputs_and_only_they_come_back(build):
    model = build(first_k_dense_replace=1)
    model.set_attn_implementation("eager")
    silent = model(TOKENS)
    assert silent.router_logits is None
    assert silent.hidden_states is None
    assert silent.attentions is None
    loud = model(TOKENS, output_router_logits=True, output_hidden_states=True, output_attentions=True)
    assert [tuple(r.shape) for r in loud.router_logits] == [(60, 8)] * 2
    assert [tuple(h.shape) for h in loud.hidden_states] == [(4, 15, 64)] * 4
    assert [tuple(a.shape) for a in loud.attentions] == [(4, 4, 15, 15)] * 3
    assert loud.aux_loss is None
    as_tuple = model(TOKENS, return_dict=False)
    assert torch.equal(as_tuple[0], silent.logits)


def test_input_embeddings_are_the_word_embeddings(build):
    model = build()
    assert model.get_input_embeddings() is model.model.word_embeddings
    embedded = model(inputs_embeds=model.model.word_embeddings(TOKENS)).logits
    assert torch.equal(embedded, model(TOKENS).logits)
    with pytest.raises(ValueError, match="exactly one"):
        model()
    model.resize_token_embeddings(101)
    assert model(TOKENS).logits.shape[-1] == model.config.vocab_size == 101
