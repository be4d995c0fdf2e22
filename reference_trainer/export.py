"""Checkpoints in hub layout: what ``from_pretrained``, vLLM and ``ringlite score`` read."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import UsageError
from reference_trainer.recipe import ModelConfig

WEIGHTS = "model.safetensors"


def export_checkpoint(weights: Iterable[tuple[str, Tensor]], config: Any, tokenizer: Any, folder: Path) -> None:
    """Writes weights, ``config.json`` and tokenizer; the folder appears whole, and equal weights give equal bytes.

    Args:
        weights: (hub name, tensor), such as ``UpdateEngine.weights`` yields.
        config: The model's configuration.
        tokenizer: Saved beside it.
        folder: Replaced where it exists.
    """
    from safetensors.torch import save_file

    partial = folder.with_name(f".partial-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights}
    save_file(tensors, partial / WEIGHTS, metadata={"format": "pt"})
    config.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


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
