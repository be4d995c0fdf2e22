"""The numbers of a model that memory and time follow from, counted on the meta device from its configuration."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError

if TYPE_CHECKING:
    from reference_trainer.model.configuration import BailingMoeConfig
    from reference_trainer.recipe import Recipe

RECIPES = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True)
class Shape:
    """A mixture-of-experts decoder.

    Attributes:
        total: Parameters.
        activated: Of them, those that one token uses; embedding and head included.
        routed: Parameters of all routed experts.
        embedding: Parameters of the input embedding, which is looked up and not multiplied.
        largest_layer: Parameters of the largest decoder layer.
        source: Where the configuration is from.
    """

    total: int
    activated: int
    routed: int
    embedding: int
    largest_layer: int
    layers: int
    expert_layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    experts: int
    experts_per_token: int
    expert_width: int
    shared_width: int
    dense_width: int
    vocabulary: int
    source: str

    @property
    def multiplied(self) -> int:
        """Parameters that one token is multiplied with."""
        return self.activated - self.embedding

    def kv_bytes(self, width: int = 2) -> int:
        """Bytes of key-value cache of one token: 2 layers h_kv head_dim ``width``."""
        return 2 * self.layers * self.kv_heads * self.head_dim * width


def shape_of(config: "BailingMoeConfig", source: str) -> Shape:
    """Counts a configuration; a model of any size costs no memory."""
    import torch

    from reference_trainer.model.modeling import BailingMoeExperts, BailingMoeForCausalLM
    from reference_trainer.model.parameters import count_parameters

    counted = count_parameters(config)
    with torch.device("meta"):
        model = BailingMoeForCausalLM(config)

    def size(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    embedding = size(model.model.word_embeddings)
    moe = [config.is_moe_layer(layer) for layer in range(config.num_hidden_layers)]
    width = config.moe_intermediate_size or 0
    return Shape(
        total=counted.total,
        activated=counted.activated,
        routed=sum(size(module) for module in model.modules() if isinstance(module, BailingMoeExperts)),
        embedding=0 if config.tie_word_embeddings else embedding,
        largest_layer=max(size(layer) for layer in model.model.layers),
        layers=config.num_hidden_layers,
        expert_layers=sum(moe),
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads or config.num_attention_heads,
        head_dim=config.head_dim or config.hidden_size // config.num_attention_heads,
        experts=config.num_experts or 0,
        experts_per_token=config.num_experts_per_tok if config.num_experts else 0,
        expert_width=width,
        shared_width=(config.num_shared_experts or 0) * width,
        dense_width=config.intermediate_size or 0,
        vocabulary=config.vocab_size,
        source=source,
    )


def recipe_shape(recipe: "Recipe") -> Shape:
    """The shape of a recipe's model: from its own configuration, its folder, the hub's cache, its plan, or the hub.

    Raises:
        UsageError: The configuration cannot be had, or is no BailingMoE.
    """
    from reference_trainer.model.configuration import BailingMoeConfig

    model = recipe.model
    if model.config is not None:
        values = dict(model.config)
        if "vocab_size" not in values:
            from reference_trainer.tasks.tokenizer import toy_tokenizer

            values["vocab_size"] = len(toy_tokenizer())
        return shape_of(BailingMoeConfig(**values), "the recipe")
    assert model.path is not None
    path, source = _config_file(model.path, model.revision, recipe.plan.shape)
    values = _read(path)
    if values.get("model_type") != BailingMoeConfig.model_type:
        raise UsageError(f"{path} is of the type {values.get('model_type')!r}; plans are made for bailing_moe models")
    return shape_of(BailingMoeConfig(**values), source)


def _config_file(name: str, revision: str | None, shipped: str | None) -> tuple[Path, str]:
    local = Path(name) / "config.json"
    if local.is_file():
        return local, str(local)
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    if isinstance(cached, str):
        return Path(cached), f"config.json of {name} in the hub's cache"
    if shipped is not None:
        path = RECIPES / shipped if (RECIPES / shipped).is_file() else Path(shipped)
        return path, f"{path.name}, the public shape of {name} (the hub's own is not in the cache here)"
    try:
        return Path(hf_hub_download(name, "config.json", revision=revision)), f"config.json of {name} on the hub"
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UsageError(
            f"config.json of {name} cannot be had from the hub ({type(error).__name__}): name a file with its keys "
            "under plan.shape of the recipe"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the model's shape {path} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"the model's shape {path} is no JSON object of config.json's keys")
    return values
