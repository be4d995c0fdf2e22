"""Data order: a seeded permutation an epoch, resumable at any position."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from reference_trainer.stream import Prompt, PromptStream, stage_prompts


def prompts(n: int) -> list[Prompt]:
    return [Prompt(f"p{i}", (1, i)) for i in range(n)]


@given(st.integers(1, 12), st.integers(0, 99), st.integers(1, 7))
def test_every_epoch_draws_every_prompt_once(n, seed, size):
    stream = PromptStream(prompts(n), seed)
    drawn = []
    while len(drawn) < 3 * n:
        drawn += [prompt.id for prompt in stream.draw(size)]
    for epoch in range(3):
        assert sorted(drawn[epoch * n : (epoch + 1) * n]) == sorted(p.id for p in prompts(n))


@given(st.integers(1, 12), st.integers(0, 99), st.integers(0, 30), st.integers(1, 20))
def test_a_resumed_stream_draws_what_the_uninterrupted_one_draws(n, seed, before, after):
    whole = PromptStream(prompts(n), seed)
    whole.draw(before)
    resumed = PromptStream(prompts(n), seed)
    resumed.load_state_dict(whole.state_dict())
    assert resumed.draw(after) == whole.draw(after)


def test_epochs_and_seeds_differ():
    first, second = PromptStream(prompts(20), 0), PromptStream(prompts(20), 1)
    order = first.draw(20)
    assert order != prompts(20)
    assert order != first.draw(20)
    assert order != second.draw(20)


def test_other_data_or_another_seed_cannot_be_resumed():
    state = PromptStream(prompts(5), 0).state_dict()
    with pytest.raises(UsageError, match="other prompts"):
        PromptStream(prompts(6), 0).load_state_dict(state)
    with pytest.raises(UsageError, match="another seed"):
        PromptStream(prompts(5), 1).load_state_dict(state)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "no prompt"),
        ([Prompt("a", (1,)), Prompt("a", (2,))], "'a' stands twice"),
        ([Prompt("a", ())], "prompt 'a' has no token"),
    ],
)
def test_bad_stages_are_refused(bad, message):
    with pytest.raises(UsageError, match=message):
        PromptStream(bad, 0)


@given(st.lists(st.sampled_from(["math", "code", "science"]), max_size=12))
def test_stage_one_draws_only_math_and_stage_two_none_of_it_unless_replayed(domains):
    everything = [Prompt(str(i), (1,), domain=domain) for i, domain in enumerate(domains)]
    one, two = stage_prompts(everything, 1), stage_prompts(everything, 2)
    assert all(prompt.domain == "math" for prompt in one)
    assert all(prompt.domain != "math" for prompt in two)
    assert sorted(p.id for p in one + two) == sorted(p.id for p in everything)
    assert stage_prompts(everything, 2, "with_math_replay") == everything
