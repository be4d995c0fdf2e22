import json
import shutil
from pathlib import Path

import pytest
import torch

from harness.backends.checkpoint import file_hash, find_checkpoint
from harness.backends.transformers import TransformersBackend, TransformersOptions
from harness.errors import UsageError
from harness.types import Request, Sample, SamplingParams

PROMPTS = ["What is 2 + 2?", "Hi", "Tell me of a very long way from here to there, in three words or more.", "x" * 60]


def request(prompt: str, index: int = 0, seed: int = 11, style: str = "chat", name: str | None = None) -> Request:
    return Request("t", name or prompt, index, seed + index, ({"role": "user", "content": prompt},), style)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(TransformersOptions(str(tiny_model), device="cpu", batch_size=4))


def draw(backend: TransformersBackend, requests: list[Request], params: SamplingParams) -> list[Sample]:
    order = {(r.problem_id, r.index): i for i, r in enumerate(requests)}
    samples = list(backend.generate("b", requests, params))
    assert len(samples) == len(requests)
    return sorted(samples, key=lambda s: order[s.problem_id, s.index])


@pytest.mark.parametrize("style", ["chat", "completion"])
def test_greedy_equals_generate(backend, tiny_model, style):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    drawn = draw(backend, [request(p, style=style) for p in PROMPTS], SamplingParams(0.0, max_tokens=40))
    for prompt, sample in zip(PROMPTS, drawn, strict=True):
        message = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text if style == "chat" else prompt, return_tensors="pt", add_special_tokens=style != "chat")
        output = model.generate(**ids, max_new_tokens=40, do_sample=False, pad_token_id=0)[0]
        new = output[ids["input_ids"].shape[1] :].tolist()
        assert sample.response == tokenizer.decode(new, skip_special_tokens=True)
        assert sample.completion_tokens == len(new)
        assert sample.prompt_tokens == ids["input_ids"].shape[1]
        assert sample.finish_reason == ("length" if len(new) == 40 and new[-1] not in (2, 3) else "stop")


FAMILIES: dict[str, dict[str, object]] = {
    # learned positions; no positions at all (ALiBi); sliding windows; experts; linear attention beside full attention
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "gemma3_text": {"sliding_window": 16, "head_dim": 8},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8},
    "qwen3_next": {
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
        "head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
        "linear_value_head_dim": 8, "layer_types": ["linear_attention", "full_attention"],
    },
    "lfm2": {"layer_types": ["conv", "full_attention"]},
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate_for_every_kind_of_cache(family, tiny_model, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    common = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.3,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **{**common, **FAMILIES[family]})).eval()
    model.generation_config = GenerationConfig(eos_token_id=2, pad_token_id=0)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    backend = TransformersBackend(TransformersOptions(str(tmp_path), device="cpu"))
    prompts = ["Hi", "Hi there", "x" * 40]
    requests = [request(p, style="completion") for p in prompts] + [request("Hi", 1, style="completion")]
    # Rows leave at different lengths, so that the cache is cut while the others go on.
    drawn = draw(backend, requests, SamplingParams(0.0, max_tokens=30))
    texts = {}
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt")
        output = model.generate(**ids, max_new_tokens=30, do_sample=False)[0, ids["input_ids"].shape[1] :]
        texts[prompt] = tokenizer.decode(output, skip_special_tokens=True)
    assert [s.response for s in drawn] == [texts[r.problem_id] for r in requests]
    letter = next((c for c in texts["Hi"][3:] if c.isascii()), None)
    stopped = draw(backend, requests, SamplingParams(0.0, max_tokens=30, stop=(letter,) if letter else ()))
    for before, after in zip(drawn, stopped, strict=True):
        assert after.response == (before.response.split(letter)[0] if letter else before.response)


def test_a_template_that_refuses_is_told(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / "chat_template.jinja").write_text("{{ raise_exception('no system role, please') }}")
    backend = TransformersBackend(TransformersOptions(str(tmp_path / "m"), device="cpu"))
    with pytest.raises(UsageError, match=r"chat template of m refuses messages of the roles user: .*no system role"):
        draw(backend, [request("Hi")], SamplingParams())


def test_both_end_tokens_end_a_response(backend):
    requests = [request("a", i) for i in range(150)]
    params = SamplingParams(1.5, 1.0, max_tokens=300)
    samples = draw(backend, requests, params)
    stopped = [s for s in samples if s.finish_reason == "stop"]
    assert len(stopped) > 30
    assert not any(tag in s.response for s in samples for tag in ("<end>", "<stop>"))
    assert min(s.completion_tokens or 0 for s in samples) >= 1


def test_the_same_batch_gives_the_same_samples(backend):
    requests = [request(p, i) for p in PROMPTS[:2] for i in range(4)]
    params = SamplingParams(1.0, 0.95, max_tokens=30)
    assert draw(backend, requests, params) == draw(backend, requests, params)


def test_a_sample_hangs_on_its_own_seed_only(backend):
    params = SamplingParams(1.0, 0.95, max_tokens=30)
    alone = draw(backend, [request("Hi", 0, seed=5)], params)[0]
    among = draw(backend, [request("Hi", 0, seed=5), *(request("Hi", i, seed=900 + i) for i in range(1, 6))], params)
    # Batches round differently, but on a model this small no draw falls between the roundings.
    assert among[0] == alone
    assert len({s.response for s in among}) == 6


def test_stop_strings_end_and_are_cut(backend):
    free = draw(backend, [request("Hi", i) for i in range(20)], SamplingParams(1.0, 1.0, max_tokens=60))
    letter = next(c for s in free for c in s.response[5:] if c.isascii() and c.isalnum())
    stopped = draw(
        backend, [request("Hi", i) for i in range(20)], SamplingParams(1.0, 1.0, max_tokens=60, stop=(letter, "\0\0"))
    )
    hit = 0
    for before, after in zip(free, stopped, strict=True):
        place = before.response.find(letter)
        if place >= 0:
            hit += 1
            assert after.response == before.response[:place]
            assert after.finish_reason == "stop"
            assert (after.completion_tokens or 0) <= (before.completion_tokens or 0)
        else:
            assert after == before
    assert hit


def test_the_context_window_caps_and_the_cap_is_recorded(backend):
    prompt = "y" * 200
    sample = draw(backend, [request(prompt, style="completion")], SamplingParams(1.0, 1.0, max_tokens=10_000))[0]
    room = 256 - 200
    assert sample.prompt_tokens == 200
    assert sample.metadata == {"max_tokens": room}
    assert (sample.completion_tokens or 0) <= room
    too_long = draw(backend, [request("z" * 300, style="completion"), request("Hi")], SamplingParams(max_tokens=3))
    assert too_long[0].response == ""
    assert too_long[0].finish_reason == "length"
    assert too_long[0].metadata == {"max_tokens": 0}
    assert too_long[1].metadata == {}


def test_thinking_that_the_template_opens_belongs_to_the_response(tiny_model, tmp_path):
    folder = tmp_path / "thinker"
    shutil.copytree(tiny_model, folder)
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template.replace("assistant: ", "assistant: <think>\n"))
    backend = TransformersBackend(TransformersOptions(str(folder), device="cpu"))
    sample = draw(backend, [request("Hi")], SamplingParams(max_tokens=5))[0]
    assert sample.response.startswith("<think>\n")


def test_the_description_names_what_decides_the_text(backend, tiny_model, tmp_path):
    first = backend.describe()
    assert first["engine"]["dtype"] == "float32"
    assert first["model"]["context_length"] == 256
    assert first["host"]["threads"] >= 1
    json.dumps(first)
    moved = tmp_path / "tiny"
    shutil.copytree(tiny_model, moved)
    other = TransformersBackend(TransformersOptions(str(moved), device="cpu", batch_size=2))
    assert other.describe()["model"] == first["model"]
    weights = moved / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = TransformersBackend(TransformersOptions(str(moved), device="cpu")).describe()["model"]
    assert changed["hash"] != first["model"]["hash"]
    (moved / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    changed = TransformersBackend(TransformersOptions(str(moved), device="cpu")).describe()["model"]
    assert changed["chat_template_hash"] != first["model"]["chat_template_hash"]


def test_without_a_chat_template_the_prompt_goes_in_plain(tiny_model, tmp_path):
    folder = tmp_path / "plain"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").unlink()
    backend = TransformersBackend(TransformersOptions(str(folder), device="cpu"))
    params = SamplingParams(0.0, max_tokens=10)
    assert (
        draw(backend, [request("Hi")], params)[0].response
        == draw(backend, [request("Hi", style="completion")], params)[0].response
    )
    assert backend.describe()["model"]["chat_template_hash"] is None


def test_file_hashes_follow_the_content(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = file_hash(path)
    assert file_hash(path) == first == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    path.write_bytes(b"three")
    assert file_hash(path) != first


def broken(name: str, folder: Path) -> str:
    weights, index = (
        folder / "model.safetensors",
        {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}},
    )
    if name == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif name == "no weights":
        weights.unlink()
    elif name == "no config":
        (folder / "config.json").unlink()
    elif name == "config is text":
        (folder / "config.json").write_text("{")
    elif name == "unknown architecture":
        (folder / "config.json").write_text('{"model_type": "nothing_like_this"}')
    elif name == "weights cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif name == "weights of another shape":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    elif name == "shard missing":
        weights.rename(folder / "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    elif name == "no folder":
        return str(folder / "absent")
    elif name == "not a gguf":
        (folder / "m.gguf").write_text("text")
        return str(folder / "m.gguf")
    elif name == "another file":
        return str(weights)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no tokenizer", r"has weights but no tokenizer .*--tokenizer"),
        ("no weights", r"has no weights"),
        ("no config", r"is not a checkpoint: it has no config.json"),
        ("config is text", r"config.json is not valid JSON"),
        ("unknown architecture", r"nothing_like_this"),
        ("weights cut", r"cannot be loaded"),
        ("weights of another shape", r"lacks 9 weights .* e.g. model.layers.2"),
        ("shard missing", r"lacks 1 weight files of its index, e.g. model-2.safetensors"),
        ("no folder", r"there is no model at .*absent"),
        ("not a gguf", r"is not a GGUF file"),
        ("another file", r"is a file but not a GGUF file"),
    ],
)
def test_bad_checkpoints_are_told_in_one_sentence(tiny_model, tmp_path, name, message):
    folder = tmp_path / "m"
    shutil.copytree(tiny_model, folder)
    with pytest.raises(UsageError, match=message) as caught:
        TransformersBackend(TransformersOptions(broken(name, folder), device="cpu"))
    assert "\n" not in str(caught.value)


def test_bad_options_are_told(tiny_model):
    with pytest.raises(UsageError, match="unknown dtype 'float31'; did you mean 'float32'"):
        TransformersBackend(TransformersOptions(str(tiny_model), dtype="float31"))
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        TransformersBackend(TransformersOptions(str(tiny_model), device="gpu"))
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="torch sees no GPU"):
            TransformersBackend(TransformersOptions(str(tiny_model), device="cuda"))


def test_a_hub_name_without_a_hub_is_told(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"there is no folder 'nobody/nothing', and the hub does not give"):
        find_checkpoint("nobody/nothing")
