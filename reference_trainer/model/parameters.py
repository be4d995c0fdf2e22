"""How many parameters a configuration has, and how many of them one token uses."""

from typing import NamedTuple

import torch

from reference_trainer.model.configuration import BailingMoeConfig
from reference_trainer.model.modeling import BailingMoeExperts, BailingMoeForCausalLM


class ParameterCount(NamedTuple):
    """Parameters of a model: all of them, and those that take part in one token's forward."""

    total: int
    activated: int


def count_parameters(config: BailingMoeConfig) -> ParameterCount:
    """Counts on the meta device, so that a shape of any size costs no memory.

    Activated are all parameters but the experts that a token is not routed to; embedding and head count, as they do
    in the 2.75 B that the authors state for Ling-lite.
    """
    with torch.device("meta"):
        model = BailingMoeForCausalLM(config)
    total = sum(parameter.numel() for parameter in model.parameters())
    routed = sum(p.numel() for m in model.modules() if isinstance(m, BailingMoeExperts) for p in m.parameters())
    if not routed:
        return ParameterCount(total, total)
    assert config.num_experts is not None
    return ParameterCount(total, total - routed + routed // config.num_experts * config.num_experts_per_tok)
