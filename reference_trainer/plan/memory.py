"""Bytes of one GPU while it trains and while it samples, and of the host's memory; every formula is stated.

Sources: Rajbhandari et al. 2020 (ZeRO) for what is sharded at which stage; activations are what this model's layers
keep for the backward, which the tests count on a real forward pass.
"""

from dataclasses import dataclass, field

from reference_trainer.engine.scorer import LOGITS_AT_ONCE
from reference_trainer.engine.settings import EngineConfig
from reference_trainer.plan.rates import hpz_ranks
from reference_trainer.plan.settings import GPU
from reference_trainer.plan.shape import Shape
from reference_trainer.rollout.settings import RolloutEngineConfig

GIB = 1024**3
VLLM_WORKSPACE = 2 * GIB
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
_LOGITS_COPIES = 4  # logits, their float32 form, log-probabilities and gradient


@dataclass(frozen=True)
class Part:
    """One share of the memory: name, bytes, and how they were counted."""

    name: str
    bytes: float
    formula: str


@dataclass(frozen=True)
class Memory:
    """Memory of one GPU in one phase.

    Attributes:
        parts: What lies on the GPU.
        host: What lies in the host's memory, for each GPU.
        capacity: Bytes of the GPU that may be used.
    """

    parts: tuple[Part, ...]
    capacity: float
    host: tuple[Part, ...] = ()

    @property
    def total(self) -> float:
        """Bytes on the GPU."""
        return sum(part.bytes for part in self.parts)

    @property
    def fits(self) -> bool:
        """Whether they are at most the capacity."""
        return self.total <= self.capacity


@dataclass(frozen=True)
class RolloutMemory(Memory):
    """Memory while sampling.

    Attributes:
        kv_tokens: Tokens that the key-value cache of one engine holds.
        concurrent: Responses of mean length that one engine decodes at a time.
    """

    kv_tokens: int = 0
    concurrent: int = field(default=0)


def activation_bytes(shape: Shape, width: int, expert_layer: bool = True) -> float:
    """Bytes of one token that one layer keeps for the backward.

    2 (4 + 2 w) d for two norms, which keep a float32 and two w-byte vectors; w (2 h + 2 h_kv) head_dim + 4 h for
    queries, keys, values, output and the softmax statistics of a fused attention; (w + 4) E + 12 k for the router;
    w k (2 d + 4 m) for k experts and 4 w s for the shared one: input, gate, activation, up, product, output.
    """
    d, k = shape.hidden, shape.experts_per_token
    norms = 2 * (4 + 2 * width) * d
    attention = width * shape.head_dim * (2 * shape.heads + 2 * shape.kv_heads) + 4 * shape.heads
    if not expert_layer:
        return norms + attention + 4 * width * shape.dense_width
    router = (width + 4) * shape.experts + 12 * k
    experts = width * k * (2 * d + 4 * shape.expert_width) + 4 * width * shape.shared_width
    return norms + attention + router + experts


def training_memory(shape: Shape, engine: EngineConfig, gpu: GPU, gpus: int, tokens: int, reference: bool) -> Memory:
    """One GPU during an update.

    Args:
        shape: The model.
        engine: How it is spread.
        gpu: Kind of GPU.
        gpus: W, number of ranks.
        tokens: Whose activations are held at a time: micro_batch_tokens, or the longest sequence.
        reference: Whether a reference policy is held for a KL term.
    """
    distributed = engine.kind == "deepspeed"
    stage, ranks = (engine.zero_stage, gpus) if distributed else (0, 1)
    w, n = _WIDTH[engine.dtype], shape.total
    sharded = ranks if stage >= 3 else 1
    over = {True: f" / {ranks}", False: ""}
    weights = Part("weights", w * n / sharded, f"{w} N{over[stage >= 3]}")
    parts: list[Part] = []
    host: list[Part] = []
    (host if engine.offload == "parameters" else parts).append(weights)
    if stage >= 3:
        gathered = 2 * w * shape.largest_layer
        parts.append(Part("gathered layers", gathered, f"2 layers x {w} bytes x {shape.largest_layer:,}"))
        secondary = hpz_ranks(engine)
        if secondary > 1:
            parts.append(Part("weights of the node (hpZ)", w * n / secondary, f"{w} N / {secondary}"))
    if reference:
        parts.append(Part("reference policy", w * n / sharded, f"{w} N{over[stage >= 3]}"))
    gradients = Part("gradients", 4 * n / (ranks if stage >= 2 else 1), f"4 N{over[stage >= 2]} (float32 sums)")
    states = 12 if w == 2 else 8
    meaning = "float32 weights, 2 moments" if w == 2 else "2 moments"
    adamw = Part("AdamW", states * n / (ranks if stage >= 1 else 1), f"{states} N{over[stage >= 1]} ({meaning})")
    (parts if engine.offload == "none" else host).extend([gradients, adamw])
    parts.append(_activations(shape, engine, w, tokens))
    head = _LOGITS_COPIES * 4 * min(LOGITS_AT_ONCE, tokens * shape.vocabulary)
    parts.append(Part("logits", head, f"{_LOGITS_COPIES} x 4 bytes x {LOGITS_AT_ONCE:,} at a time"))
    return Memory(tuple(parts), _capacity(gpu), tuple(host))


def rollout_memory(
    training: Memory, shape: Shape, rollout: RolloutEngineConfig, gpu: GPU, mean_tokens: float, longest: int
) -> RolloutMemory:
    """One GPU while it samples: what the trainer keeps there, and the sampler.

    Args:
        training: Of ``training_memory``; all but activations and logits stays.
        shape: The model.
        rollout: The sampler.
        gpu: Kind of GPU.
        mean_tokens: Mean tokens of prompt and half a response, what a running response has cached.
        longest: Longest context.
    """
    passing = ("activations", "logits", "gathered layers")
    kept = tuple(part for part in training.parts if part.name not in passing)
    width, split = _WIDTH[rollout.dtype], rollout.tensor_parallel
    per_token = shape.kv_bytes(width)
    if rollout.kind == "transformers":
        cache = rollout.max_rows * longest * per_token
        part = Part("key-value cache", cache, f"{rollout.max_rows} rows x {longest:,} x {per_token:,} bytes")
        return RolloutMemory(
            (*kept, part), training.capacity, training.host, rollout.max_rows * longest, rollout.max_rows
        )
    weights = width * shape.total / split
    budget = rollout.gpu_memory_utilization * gpu.memory_gib * GIB
    free = max(0.0, budget - weights - VLLM_WORKSPACE)
    tokens = int(free * split / per_token)
    parts = (
        Part("vLLM weights", weights, f"{width} N{f' / {split}' if split > 1 else ''}"),
        Part("vLLM workspace", VLLM_WORKSPACE, "activations and CUDA graphs, taken as 2 GiB"),
        Part(
            "key-value cache",
            free,
            f"the rest of {rollout.gpu_memory_utilization:g} of the GPU",
        ),
    )
    concurrent = min(rollout.max_rows, int(tokens / mean_tokens))
    return RolloutMemory((*kept, *parts), training.capacity, training.host, tokens, concurrent)


def _activations(shape: Shape, engine: EngineConfig, width: int, tokens: int) -> Part:
    dense = shape.layers - shape.expert_layers
    whole = shape.expert_layers * activation_bytes(shape, width) + dense * activation_bytes(shape, width, False)
    if not engine.activation_checkpointing:
        return Part("activations", tokens * whole, f"{tokens:,} tokens x {whole:,.0f} bytes, no checkpointing")
    layer = activation_bytes(shape, width, expert_layer=shape.expert_layers > 0)
    each = shape.layers * width * shape.hidden + layer
    without = f"{tokens * whole / GIB:,.1f} GiB without checkpointing"
    return Part("activations", tokens * each, f"{tokens:,} tokens x {each:,.0f}: layer inputs + a layer; {without}")


def _capacity(gpu: GPU) -> float:
    return (gpu.memory_gib - gpu.reserve_gib) * GIB
