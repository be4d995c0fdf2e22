"""The vLLM backend: its terms without vLLM, its classes where the package is, samples where it runs."""

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from harness.backends.checkpoint import Checkpoint
from harness.backends.loading import load_tokenizer
from harness.backends.text import PromptText, ends_on_disk
from harness.backends.vllm import VllmBackend, VllmOptions
from harness.backends.vllm_samples import (
    Prompt,
    engine_arguments,
    finish_reason,
    prompt_of,
    refuse_unlike,
    sample_of,
    sampling_params,
)
from harness.errors import UsageError
from harness.types import Request, SamplingParams
from tests.vllm_here import need_engine, needs_classes

GREEDY = SamplingParams(0.0, max_tokens=24)


def request(prompt: str, index: int = 0, seed: int = 11, style: str = "chat") -> Request:
    return Request("t", prompt, index, seed + index, ({"role": "user", "content": prompt},), style)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def text(tiny_model: Path) -> tuple[PromptText, frozenset[int]]:
    checkpoint = Checkpoint(tiny_model.name, tiny_model)
    tokenizer = load_tokenizer(checkpoint, None)
    ends = ends_on_disk(checkpoint, tokenizer)
    return PromptText(tokenizer, checkpoint.name, ends), ends


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UsageError, match=r"pip install 'ringlite\[vllm\]'"):
        VllmBackend(VllmOptions("anything"))


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_finish_reasons_that_we_have(reason):
    assert finish_reason(reason, request("a")) == reason


@pytest.mark.parametrize("reason", ["abort", "error", "repetition", None, "something new"])
def test_other_finish_reasons_store_nothing(reason):
    with pytest.raises(UsageError, match="sample 3 of a"):
        finish_reason(reason, request("a", index=3))


def test_the_cap_is_what_the_context_leaves(text):
    long = request("x" * 50, style="completion")
    count = len(prompt_of(long, text[0], GREEDY, 1000).tokens)
    for context, asked, cap in (
        (1000, 24, 24),
        (count + 7, 24, 7),
        (count, 24, 0),
        (count - 5, 24, -5),
        (99, None, 99 - count),
    ):
        params = dataclasses.replace(GREEDY, max_tokens=asked)
        prompt = prompt_of(long, text[0], params, context)
        assert prompt.cap == cap
        if cap <= 0:
            sample = sample_of("b", long, prompt, params, text[0], None)
            assert (sample.response, sample.finish_reason, sample.completion_tokens) == ("", "length", 0)
            assert sample.metadata == {"max_tokens": 0}
            assert sample.prompt_tokens == count


def test_ends_are_those_of_the_files_and_the_tokenizer(tiny_model, text):
    declared = json.loads((tiny_model / "generation_config.json").read_text())["eos_token_id"]
    assert set(declared) <= text[1]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"max_modl_len": 5}, "did you mean 'max_model_len'"),
        ({"model": "x"}, "use --model"),
        ({"tensor_parallel_size": 2}, "use --tensor-parallel"),
        ({"trust_remote_code": True}, "the backend sets it itself"),
    ],
)
def test_engine_arguments_are_checked(given, match):
    known = dataclasses.make_dataclass("Known", ["max_model_len", "max_num_seqs"])
    assert engine_arguments({"max_model_len": 5}, known) == {"max_model_len": 5}
    with pytest.raises(UsageError, match=match):
        engine_arguments(given, known)


def test_checkpoints_that_it_would_misread_are_refused(tmp_path):
    with pytest.raises(UsageError, match="is a GGUF file"):
        refuse_unlike(Checkpoint("a.gguf", tmp_path, "a.gguf"), "0.33.0")
    (tmp_path / "config.json").write_text('{"model_type": "bailing_moe", "norm_head": true}')
    refuse_unlike(Checkpoint("ring", tmp_path), "0.26.0")
    for version in ("0.24.0", "0.25.1"):
        with pytest.raises(UsageError, match="norm_head"):
            refuse_unlike(Checkpoint("ring", tmp_path), version)
    (tmp_path / "config.json").write_text('{"model_type": "bailing_moe", "norm_head": false}')
    refuse_unlike(Checkpoint("ling", tmp_path), "0.24.0")


@needs_classes
def test_sampling_parameters_of_vllm(text):
    from vllm.sampling_params import RequestOutputKind

    asked = SamplingParams(0.7, 0.9, 5, 24, ("\n\n", "END"))
    theirs = sampling_params(request("a", 3), Prompt([5], "", 17), asked, text[1])
    assert (theirs.temperature, theirs.top_p, theirs.top_k, theirs.max_tokens) == (0.7, 0.9, 5, 17)
    assert (theirs.seed, theirs.n, theirs.stop) == (14, 1, ["\n\n", "END"])
    assert set(theirs.stop_token_ids) == text[1]
    assert theirs.output_kind is RequestOutputKind.FINAL_ONLY
    assert theirs.detokenize
    plain = sampling_params(request("a"), Prompt([5], "", 17), GREEDY, text[1])
    assert not plain.detokenize
    assert (plain.repetition_penalty, plain.min_p, plain.presence_penalty) == (1.0, 0.0, 0.0)


@needs_classes
def test_samples_of_vllm_outputs(text):
    from vllm.outputs import CompletionOutput

    words, ends = text
    tokens = words.render(request("so it is. END of it", style="completion"))[0]
    end = min(ends)

    def sample(ids, reason, stop_reason=None, params=GREEDY, opened="", cap=24):
        output = CompletionOutput(0, "", ids, None, None, finish_reason=reason, stop_reason=stop_reason)
        return sample_of("b", request("q", 2), Prompt([1, 2, 3], opened, cap), params, words, output)

    ended = sample([*tokens, end], "stop", end)
    assert ended.response == words.decode(tokens)
    assert (ended.finish_reason, ended.completion_tokens, ended.prompt_tokens) == ("stop", len(tokens) + 1, 3)
    assert (ended.index, ended.seed, ended.metadata) == (2, 13, {})
    assert sample(tokens, "length").finish_reason == "length"
    stopping = dataclasses.replace(GREEDY, stop=("END", "so"))
    cut = sample(tokens, "stop", "END", dataclasses.replace(stopping, stop=("END",)))
    assert cut.response == words.decode(tokens).split("END")[0]
    assert (
        sample([*tokens, end], "stop", end, dataclasses.replace(stopping, stop=("absent",))).response == ended.response
    )
    thought = sample(tokens, "length", opened="<think>\n", cap=9)
    assert thought.response.startswith("<think>\n")
    assert thought.metadata == {"max_tokens": 9, "opened_by_template": "<think>\n"}


@needs_classes
def test_real_engine_arguments():
    from vllm.engine.arg_utils import AsyncEngineArgs

    given = {"max_model_len": 4096, "gpu_memory_utilization": 0.8, "quantization": "fp8"}
    assert engine_arguments(given, AsyncEngineArgs) == given


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with heads as wide as vLLM's kernels want them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("wide") / "model"
    shutil.copytree(tiny_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = AutoConfig.from_pretrained(tiny_model)
    config.update({"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32})
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(config)
    made.save_pretrained(folder)
    shutil.copy(tiny_model / "generation_config.json", folder)
    return folder


@pytest.fixture(scope="module")
def backend(model: Path):
    device = need_engine()
    if device == "cpu":
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    further = {"enforce_eager": True, "gpu_memory_utilization": 0.3, "max_model_len": 128}
    made = VllmBackend(VllmOptions(str(model), dtype="float32", batch_size=4, engine_args=further))
    yield made
    made.close()


PROMPTS = ["What is 2 + 2?", "Hi", "Tell me of a very long way from here to there, in three words or more.", "x" * 60]


@pytest.mark.gpu
@pytest.mark.parametrize("style", ["chat", "completion"])
def test_greedy_samples_are_those_of_the_transformers_backend(backend, model, style):
    from harness.backends.transformers import TransformersBackend, TransformersOptions

    asked = [request(prompt, style=style) for prompt in PROMPTS]
    other = TransformersBackend(TransformersOptions(str(model), device="cpu", dtype="float32", batch_size=4))

    def key(sample):
        return sample.problem_id

    found = sorted(backend.generate("b", asked, GREEDY), key=key)
    assert found == sorted(other.generate("b", asked, GREEDY), key=key)


@pytest.mark.gpu
def test_each_sample_follows_its_own_seed(backend):
    params = SamplingParams(1.0, 1.0, max_tokens=16)
    asked = [request(prompt, index) for prompt in PROMPTS[:2] for index in range(20)]

    def drawn(requests):
        return {(s.problem_id, s.index): s.response for s in backend.generate("b", requests, params)}

    first = drawn(asked)
    assert len(first) == 40
    assert len(set(first.values())) > 30
    again = drawn(list(reversed(asked)))
    assert sum(first[place] == again[place] for place in first) >= 38  # rounding hangs on what is drawn beside it


@pytest.mark.gpu
def test_limits_stop_strings_and_full_prompts(backend):
    everything = backend.generate(
        "b", [request("y" * 400), request("Hi", 1)], dataclasses.replace(GREEDY, max_tokens=9999)
    )
    full, open_ended = sorted(everything, key=lambda sample: sample.index)
    assert (full.response, full.finish_reason, full.metadata["max_tokens"]) == ("", "length", 0)
    assert open_ended.prompt_tokens + open_ended.metadata["max_tokens"] == backend.context_length == 128
    [whole] = backend.generate("b", [request("Hi")], GREEDY)
    word = whole.response[3:5]
    [cut] = backend.generate("b", [request("Hi")], dataclasses.replace(GREEDY, stop=(word,)))
    assert (cut.response, cut.finish_reason) == (whole.response[: whole.response.index(word)], "stop")


@pytest.mark.gpu
def test_it_says_what_it_is(backend):
    facts = backend.describe()
    assert facts["model"]["hash"].startswith("sha256:")
    assert facts["model"]["context_length"] == 128
    assert facts["engine"]["dtype"] == "float32"
    assert facts["engine"]["engine_args"]["max_model_len"] == 128


@pytest.mark.gpu
def test_a_run_that_is_left_early_leaves_the_engine_usable(backend):
    some = backend.generate("b", [request("Hi", index) for index in range(30)], SamplingParams(1.0, max_tokens=16))
    assert next(some).problem_id == "Hi"
    some.close()
    assert len(list(backend.generate("b", [request("Hi", 99)], GREEDY))) == 1
