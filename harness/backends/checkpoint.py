"""A checkpoint on disk or on the hub: where its files are, whether they are all there, and what identifies them."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.protocol import digest
from harness.store import write_json

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Checkpoint:
    """Files of one model.

    Attributes:
        name: As it is reported: folder or file name, or hub name.
        folder: Where the files are.
        gguf: Name of the GGUF file in the folder; None for a folder of its own.
        revision: Commit on the hub, or None.
    """

    name: str
    folder: Path
    gguf: str | None = None
    revision: str | None = None

    @property
    def load_options(self) -> dict[str, Any]:
        """Options of every ``from_pretrained``: files are here, nothing is looked up."""
        return {"local_files_only": True, **({"gguf_file": self.gguf} if self.gguf else {})}

    def weight_files(self) -> list[Path]:
        """The files that hold weights, in order."""
        if self.gguf:
            return [self.folder / self.gguf]
        found = [sorted(self.folder.glob(pattern)) for pattern in _WEIGHTS]
        return next((files for files in found if files), [])

    def identity(self) -> dict[str, Any]:
        """Name, revision and one hash of weights and configuration.

        The hash is taken over the whole content of the files, so that two fine-tunes of the same shape differ. Hashes
        are remembered by path, size and time of change in the user's cache folder.
        """
        files = self.weight_files()
        if not self.gguf:
            configs = ("config.json", "generation_config.json")
            files += [self.folder / name for name in configs if (self.folder / name).is_file()]
        hashes = {file.name: file_hash(file) for file in files}
        found = hashes[self.gguf] if self.gguf else digest(hashes)
        return {"name": self.name, "hash": f"sha256:{found}", "revision": self.revision}


def find_checkpoint(model: str, revision: str | None = None) -> Checkpoint:
    """Resolves ``--model``: a folder, a GGUF file, or a hub name (which is downloaded).

    Raises:
        UsageError: Nothing there, or it is not a checkpoint.
    """
    path = Path(model).expanduser()
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise UsageError(f"{model} is a file but not a GGUF file; name the checkpoint's folder or a .gguf file")
        if path.open("rb").read(4) != b"GGUF":
            raise UsageError(
                f"{model} is not a GGUF file (it does not begin with the letters GGUF); is it cut or renamed?"
            )
        return Checkpoint(path.name, path.resolve().parent, path.name)
    if path.is_dir():
        checkpoint = Checkpoint(path.resolve().name, path.resolve())
    elif (
        path.is_absolute() or model.startswith((".", "~")) or model.endswith(".gguf") or not _HUB_NAME.fullmatch(model)
    ):
        raise UsageError(f"there is no model at {model}; name a checkpoint's folder, a .gguf file or a hub name")
    else:
        checkpoint = _download(model, revision)
    _check(checkpoint)
    return checkpoint


def _check(checkpoint: Checkpoint) -> None:
    folder = checkpoint.folder
    config = folder / "config.json"
    if not config.is_file():
        ggufs = sorted(file.name for file in folder.glob("*.gguf"))
        hint = f"name its GGUF file: {folder / ggufs[0]}" if ggufs else "name the folder that save_pretrained wrote"
        raise UsageError(f"{folder} is not a checkpoint: it has no config.json; {hint}")
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"{config} is not valid JSON ({error}); copy it again from the checkpoint's source") from None
    if not checkpoint.weight_files():
        raise UsageError(f"{folder} has no weights (*.safetensors or pytorch_model*.bin); is the download complete?")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
        absent = sorted(name for name in shards if not (folder / name).is_file())
        if absent:
            raise UsageError(
                f"{folder} lacks {len(absent)} weight files of its index, e.g. {absent[0]}; download it again"
            )


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer in a form that transformers reads."""
    return any((folder / name).is_file() for name in _TOKENIZERS)


def _download(model: str, revision: str | None) -> Checkpoint:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        folder = Path(huggingface_hub.snapshot_download(model, revision=revision, allow_patterns=wanted))
        if not any(folder.glob("*.safetensors")):
            folder = Path(huggingface_hub.snapshot_download(model, revision=revision, allow_patterns=["*.bin"]))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"there is no folder '{model}', and the hub does not give a model of that name ({reason}); "
            "name a checkpoint's folder, a .gguf file or a hub name that this machine can reach"
        ) from None
    return Checkpoint(model, folder, revision=folder.name)


def file_hash(path: Path) -> str:
    """SHA-256 of a file as hex; remembered by real path, size and time of change."""
    real = path.resolve()
    status = real.stat()
    key = f"{real}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringlite" / "sha256.json"
    try:
        known: dict[str, str] = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if isinstance(known.get(key), str):
        return known[key]
    with real.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, {**dict(list(known.items())[-1000:]), key: found})
    except OSError:
        pass  # a read-only home costs the next start some time, nothing else
    return found
