"""Between the hub's one tensor an expert and this model's 3-D expert tensors, without copying either way."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from transformers.core_model_loading import Concatenate, MergeModulelist, WeightConverter, WeightRenaming


def weight_converters() -> list[WeightConverter | WeightRenaming]:
    """The rules by which ``from_pretrained`` stacks the hub's experts and ``save_pretrained`` unstacks them."""
    return [
        WeightConverter(
            source_patterns=["mlp.experts.*.gate_proj.weight", "mlp.experts.*.up_proj.weight"],
            target_patterns="mlp.experts.gate_up_proj",
            operations=[MergeModulelist(dim=0), Concatenate(dim=1)],
        ),
        WeightConverter(
            source_patterns="mlp.experts.*.down_proj.weight",
            target_patterns="mlp.experts.down_proj",
            operations=[MergeModulelist(dim=0)],
        ),
    ]


def hub_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields (hub name, tensor) for every weight, as views of the model's memory.

    This is the form in which vLLM takes new weights. Tied weights come once, under the embedding's name.
    """
    for name, parameter in model.named_parameters():
        yield from hub_tensors(name, parameter.detach())


def hub_tensors(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What one weight of the model is on the hub: itself, or for an expert tensor one or two matrices an expert."""
    if name.endswith(".mlp.experts.gate_up_proj"):
        prefix = name.removesuffix("gate_up_proj")
        for index, (gate, up) in enumerate(expert.chunk(2, dim=0) for expert in tensor):
            yield f"{prefix}{index}.gate_proj.weight", gate
            yield f"{prefix}{index}.up_proj.weight", up
    elif name.endswith(".mlp.experts.down_proj"):
        for index, down in enumerate(tensor):
            yield f"{name.removesuffix('down_proj')}{index}.down_proj.weight", down
    else:
        yield name, tensor


@torch.no_grad()
def load_hub_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copies weights under hub names into the model.

    Raises:
        KeyError: A name is missing or unknown; the message names up to five of each.
    """
    own = dict(hub_weights(model))
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or unknown:
        raise KeyError(f"hub weights do not fit the model: missing {missing[:5]}, unknown {unknown[:5]}")
    for name, tensor in own.items():
        tensor.copy_(weights[name])
