"""Checkpoints in hub layout: what ``from_pretrained``, vLLM and ``ringlite score`` read."""

import copy
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import UsageError
from reference_trainer.recipe import ModelConfig

WEIGHTS = "model.safetensors"
SHARD_BYTES = 5 * 10**9  # what the hub recommends, and the most that is in the host's memory at a time


def export_checkpoint(
    weights: Iterable[tuple[str, Tensor]], config: Any, tokenizer: Any, folder: Path, *, write: bool = True
) -> None:
    """Writes weights, ``config.json`` and tokenizer; the folder appears whole, and equal weights give equal bytes.

    Args:
        weights: (hub name, tensor), such as ``UpdateEngine.weights`` yields.
        config: The model's configuration.
        tokenizer: Saved beside it.
        folder: Replaced where it exists.
        write: False on all ranks but the first: they only give their shards of the weights.
    """
    if not write:
        for _ in weights:
            pass
        return
    partial = folder.with_name(f".partial-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    config = copy.deepcopy(config)
    config.dtype = write_weights(weights, partial)
    config.architectures = config.architectures or [f"{type(config).__name__.removesuffix('Config')}ForCausalLM"]
    config.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def write_weights(weights: Iterable[tuple[str, Tensor]], folder: Path, shard_bytes: int = SHARD_BYTES) -> torch.dtype:
    """Writes safetensors as they come: one file, or files of at most ``shard_bytes`` with an index.

    Returns:
        The data type of the last weight.
    """
    from safetensors.torch import save_file

    files: list[list[str]] = []
    held: dict[str, Tensor] = {}
    size = total = 0

    def put() -> None:
        save_file(held, folder / f"part-{len(files)}", metadata={"format": "pt"})
        files.append(list(held))
        held.clear()

    dtype = torch.float32
    for name, tensor in weights:
        if held and size + tensor.nbytes > shard_bytes:
            put()
            size = 0
        held[name] = tensor.detach().to("cpu", copy=True).contiguous()
        size, total, dtype = size + tensor.nbytes, total + tensor.nbytes, tensor.dtype
    put()
    if len(files) == 1:
        (folder / "part-0").rename(folder / WEIGHTS)
        return dtype
    places: dict[str, str] = {}
    for number, names in enumerate(files):
        file = f"model-{number + 1:05}-of-{len(files):05}.safetensors"
        (folder / f"part-{number}").rename(folder / file)
        places |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return dtype


def load_checkpoint_model(path: str | Path, settings: ModelConfig) -> Any:
    """A model in float32 from a folder in hub layout or a hub name.

    Raises:
        UsageError: It cannot be loaded, or lacks weights.
    """
    from transformers import AutoModelForCausalLM

    import reference_trainer.model  # noqa: F401  # registers bailing_moe

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(path),
            revision=settings.revision if str(path) == settings.path else None,
            dtype=torch.float32,
            attn_implementation=settings.attention,
            experts_implementation=settings.experts,
            output_loading_info=True,
        )
    except Exception as error:
        raise UsageError(f"the checkpoint {path} cannot be loaded: {type(error).__name__}: {error}") from error
    model, info = loaded
    if missing := sorted(info.get("missing_keys", ())):
        raise UsageError(f"the checkpoint {path} lacks {len(missing)} weights, e.g. {missing[0]}: copy it again")
    return model


def fresh_model(settings: ModelConfig, tokenizer: Any) -> Any:
    """A BailingMoE model with random weights of torch's global generator."""
    from reference_trainer.model import BailingMoeConfig, BailingMoeForCausalLM

    keys = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, **(settings.config or {})}
    config = BailingMoeConfig(vocab_size=len(tokenizer), **keys)
    config._attn_implementation = settings.attention
    config._experts_implementation = settings.experts
    return BailingMoeForCausalLM(config)
