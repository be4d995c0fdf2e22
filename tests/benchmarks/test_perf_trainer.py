"""The RL-step benchmark: both contenders run the same small task, and see the same tokens."""

import pytest

pytest.importorskip("trl", reason="TRL is the other contender: the extra 'oracle'")

from benchmarks.perf.trainer import line, rate, run
from benchmarks.perf.trainer_contenders import Task, make_checkpoint, word_tokenizer


def test_the_tokenizer_gives_trl_the_prompts_own_ids():
    tokenizer, words = word_tokenizer()
    for ids in Task("trl", "").prompt_ids()[:20]:
        assert tokenizer("".join(words[i] for i in ids))["input_ids"] == ids


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["ringlite", "trl"])
@pytest.mark.parametrize("kind", ["bailing_moe", "qwen2_moe"])
def test_a_contender_reports_every_step(tmp_path, kind, trainer):
    parameters = make_checkpoint(tmp_path / kind, kind)
    assert 1.5e6 < parameters < 1.6e6
    result = run(Task(trainer, str(tmp_path / kind), prompts=3, samples=4, new_tokens=6, steps=3, tokens_at_once=90))
    assert len(result["steps"]) == 3
    assert all(12 <= step["tokens"] <= 72 for step in result["steps"])
    assert all(0 < step["cpu"] < 60 for step in result["steps"])
    assert result["peak_mib"] > 100
    assert result["threads"] == "1"
    assert rate(result) > 0


def test_rates_leave_the_first_step_out():
    result = {"steps": [{"tokens": 1, "cpu": 9.0}, {"tokens": 60, "cpu": 2.0}, {"tokens": 20, "cpu": 2.0}]}
    assert rate(result) == 20
    side = {"tokens_per_cpu_second": 1234.4, "peak_mib": 1000.0, "tokens_an_answer": 29.3}
    assert "| 1,234 | 1,234 | 1.50 |" in line({"name": "x", "ratio": 1.5, "ringlite": side, "trl": side})
