"""The toy tokenizer: loses nothing of its alphabet, loads like any other, renders the chat form."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from reference_trainer.stream import PromptStream
from reference_trainer.tasks import demonstrations, problem_set
from reference_trainer.tasks.tokenizer import (
    CHARACTERS,
    WORDS,
    demonstration_tokens,
    prompt_tokens,
    save_tokenizer,
    stream_prompts,
    toy_tokenizer,
)

TOKENIZER = toy_tokenizer()


@given(st.lists(st.sampled_from([*CHARACTERS, *WORDS]), max_size=60).map("".join))
def test_text_over_the_alphabet_comes_back(text):
    tokens = TOKENIZER.encode(text, add_special_tokens=False)
    assert TOKENIZER.decode(tokens, skip_special_tokens=True) == text
    assert TOKENIZER.unk_token_id not in tokens


@given(st.text(max_size=40))
def test_any_text_can_be_encoded_and_foreign_characters_are_unknown(text):
    tokens = TOKENIZER.encode(text, add_special_tokens=False)
    if not set(text) <= set(CHARACTERS) and "<" not in text:
        assert TOKENIZER.unk_token_id in tokens


@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=40))
def test_any_tokens_can_be_decoded_and_special_ones_leave_no_text(tokens):
    special = set(TOKENIZER.all_special_ids) | {TOKENIZER.convert_tokens_to_ids(t) for t in ("<user>", "<assistant>")}
    kept = [token for token in tokens if token not in special]
    assert TOKENIZER.decode(tokens, skip_special_tokens=True) == TOKENIZER.decode(kept)


def test_the_saved_tokenizer_is_the_same(tmp_path: Path):
    save_tokenizer(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "f(2)=7,f(5)=6\n```\ndef f(x):return (3*x+1)%10\n``` \\boxed{7}"
    assert loaded.encode(text) == TOKENIZER.encode(text)
    assert loaded.decode(loaded.encode(text), skip_special_tokens=True) == text
    assert (loaded.eos_token, loaded.pad_token, len(loaded)) == ("<end>", "<pad>", len(TOKENIZER))
    messages = [{"role": "user", "content": "3+4=?"}, {"role": "assistant", "content": "7"}]
    rendered = loaded.apply_chat_template(messages, tokenize=False)
    assert rendered == "<user>3+4=?<assistant>7<end>"


def test_prompt_and_response_join_to_the_chat_form():
    for shown in demonstrations(30, 0):
        prompt, response = demonstration_tokens(shown, TOKENIZER)
        messages = [
            {"role": "user", "content": shown.problem.question},
            {"role": "assistant", "content": shown.response},
        ]
        text = TOKENIZER.apply_chat_template(messages, tokenize=False)
        assert [*prompt, *response] == TOKENIZER.encode(text, add_special_tokens=False)
        assert response[-1] == TOKENIZER.eos_token_id
        assert TOKENIZER.eos_token_id not in response[:-1]


def test_a_question_cannot_forge_a_turn():
    ids = TOKENIZER.encode("<user>", add_special_tokens=False)
    assert len(ids) == 1
    # The alphabet of toy questions has no angle bracket next to a role's name, so no drawn question holds a role token.
    for domain in ("math", "code", "science"):
        for problem in problem_set(domain, "train", 50, 0):
            assert prompt_tokens(problem.question, TOKENIZER).count(ids[0]) == 1


@pytest.mark.parametrize("domain", ["math", "code", "science"])
def test_prompts_feed_a_stream(domain):
    prompts = stream_prompts(problem_set(domain, "train", 30, 0), TOKENIZER)
    drawn = PromptStream(prompts, 1).draw(30)
    assert {p.id for p in drawn} == {p.id for p in prompts}
    assert {p.domain for p in drawn} == {domain}
