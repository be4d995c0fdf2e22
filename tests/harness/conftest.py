import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A busy machine must not fail a property.
settings.register_profile("harness", deadline=None)
settings.load_profile("harness")

SUMS_CARD = """\
name: sums
title: Sums
description: Sums of two numbers, made for the tests.
answer_type: math
grader: math
prompt:
  template: "{question} Put the final answer within \\\\boxed{}."
  source: the tests
  variants:
    short: "{question}"
protocol: {temperature: 1.0, top_p: 0.95, max_tokens: 24, n: 3}
margin: 2
num_problems: 8
rows: math500
columns: {id: [id], question: [problem], answer: [answer]}
local:
  - {path: sums.jsonl}
licence: CC0-1.0
citation: none
"""


@pytest.fixture(scope="session")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of our own: its folder holds ``card.yaml`` and ``sums.jsonl``."""
    folder = tmp_path_factory.mktemp("sums")
    (folder / "card.yaml").write_text(SUMS_CARD)
    rows = [{"id": f"sum-{i}", "problem": f"What is {i} + {i * i}?", "answer": str(i + i * i)} for i in range(8)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 35,000 random weights with a byte tokenizer, a chat template and two end tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<start>", "<end>", "<stop>"]
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=special)
    words.train_from_iterator(["the answer is"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<pad>")
    tokenizer.chat_template = (
        "{% for m in messages %}<start>{{ m['role'] }}: {{ m['content'] }}<end>{% endfor %}"
        "{% if add_generation_prompt %}<start>assistant: {% endif %}"
    )
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.4,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=1,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<stop>")]
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=0, do_sample=True)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def ringlite() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the real ``ringlite`` command: ``ringlite("score", ..., cwd=...)``."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), capture_output=True, text=True, timeout=800, env=environment(), check=False, **options
        )

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts ``ringlite`` in the background; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"process-{len(started)}.log").open("wb")
        # A test run in the background of a shell would hand down that interrupts are ignored.
        options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        started.append(
            subprocess.Popen(command(*arguments), stdout=log, stderr=subprocess.STDOUT, env=environment(), **options)
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "ringlite", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "160"}
