"""Loads model and tokenizer of a checkpoint; whatever is wrong with its files becomes one sentence."""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.backends.checkpoint import Checkpoint, has_tokenizer
from harness.errors import UsageError
from harness.plugins import register_architecture


def find_device(name: str) -> str:
    """Resolves ``auto`` and checks what is named."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise UsageError(f"unknown device '{name}'; known: auto, cpu, cuda, cuda:0, ...") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device '{name}' was asked for, and torch sees no GPU here; use --device cpu")
    return name


def load_tokenizer(checkpoint: Checkpoint, other: str | None) -> Any:
    """Loads the checkpoint's tokenizer, or ``other`` (folder or hub name) in its place."""
    from transformers import AutoTokenizer

    if other is None and not checkpoint.gguf and not has_tokenizer(checkpoint.folder):
        raise UsageError(
            f"{checkpoint.folder} has weights but no tokenizer (tokenizer.json, tokenizer.model or a vocabulary); copy "
            "the tokenizer files of its base model into it, or name a folder that has them with --tokenizer"
        )
    if other is not None and Path(other).is_dir() and not has_tokenizer(Path(other)):
        raise UsageError(f"{other}, named with --tokenizer, holds no tokenizer")
    try:
        if other is not None:
            return AutoTokenizer.from_pretrained(other)
        return AutoTokenizer.from_pretrained(checkpoint.folder, **checkpoint.load_options)
    except Exception as error:
        raise UsageError(
            f"the tokenizer of {other or checkpoint.folder} cannot be loaded: {first_line(error)}"
        ) from error


def load_model(checkpoint: Checkpoint, device: str, dtype: str) -> Any:
    """Loads the model in evaluation mode; a checkpoint that lacks weights is refused."""
    import torch
    from transformers import AutoModelForCausalLM

    register_architecture(checkpoint.folder)
    chosen: Any = getattr(torch, dtype) if dtype != "auto" else torch.float32 if device == "cpu" else "auto"
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.folder,
            dtype=chosen,
            device_map="auto" if device == "cuda" else device,
            output_loading_info=True,
            **checkpoint.load_options,
        )
    except Exception as error:
        raise UsageError(f"the model in {checkpoint.folder} cannot be loaded: {first_line(error)}") from error
    model, info = loaded
    missing = sorted(info.get("missing_keys", ()))
    if missing:
        raise UsageError(
            f"the checkpoint in {checkpoint.folder} lacks {len(missing)} weights of its own architecture, e.g. "
            f"{missing[0]}, which would be random numbers; copy it again from its source"
        )
    return model.eval()


def first_line(error: Exception) -> str:
    """Type and first line of a foreign error."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps progress bars and advice of transformers out of our own progress line."""
    from transformers.utils import logging as their_logging

    bars: Any = their_logging
    logger = logging.getLogger("transformers")
    level, shown = logger.level, bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    logger.setLevel(logging.ERROR)
    try:
        # The bar of the GGUF reader knows no switch.
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()
