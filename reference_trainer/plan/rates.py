"""Seconds of training and of decoding, from operations, bytes, and what share of the machine's peak is reached."""

import math
from dataclasses import dataclass

from reference_trainer.config import ObjectiveConfig, OptimizerConfig
from reference_trainer.engine.settings import EngineConfig
from reference_trainer.plan.settings import GPU
from reference_trainer.plan.shape import Shape


@dataclass(frozen=True)
class Links:
    """What DeepSpeed moves between ranks, in seconds; the volumes of Rajbhandari et al. 2020 (ZeRO) for each stage.

    Attributes:
        forward: Of each forward: ZeRO 3 gathers the weights.
        backward: Of each backward: ZeRO 3 gathers them again, within the node under hpZ; ZeRO 2 and 3 sum gradients.
        update: Of each update: ZeRO 1 sums gradients, ZeRO 1 and 2 gather the weights.
    """

    forward: float = 0.0
    backward: float = 0.0
    update: float = 0.0

    def seconds(self, forwards: int, passes: float) -> float:
        """Of an update in ``passes``, each of one backward and 1 + ``forwards`` forwards."""
        return passes * ((1 + forwards) * self.forward + self.backward) + self.update


def make_links(shape: Shape, engine: EngineConfig, gpu: GPU, gpus: int) -> Links:
    """The links of ``gpus`` ranks; one rank moves nothing."""
    if engine.kind == "one_process" or gpus == 1:
        return Links()
    inside = 1e9 * gpu.node_link_gb
    speed = inside if gpus <= gpu.node else 1e9 * gpu.network_gb
    share = (gpus - 1) / gpus
    weights = share * (2 if engine.dtype == "bfloat16" else 4) * shape.total
    gradients = share * 4 * shape.total / speed
    if engine.zero_stage == 3:
        again = weights / (inside if hpz_ranks(engine) > 1 else speed)
        return Links(weights / speed, again + gradients, 0.0)
    if engine.zero_stage == 2:
        return Links(0.0, gradients, weights / speed)
    return Links(0.0, 0.0, gradients + weights / speed)


def hpz_ranks(engine: EngineConfig) -> int:
    """Ranks over which a second copy of the weights is spread (ZeRO++ hpZ); 1: there is none."""
    zero = engine.deepspeed.get("zero_optimization")
    return int(zero.get("zero_hpz_partition_size", 1)) if isinstance(zero, dict) else 1


@dataclass(frozen=True)
class Training:
    """How fast one GPU trains.

    Attributes:
        shape: The model.
        flops: Operations a second that are reached: peak x mfu.
        rate: Measured trained tokens a second of a GPU, in place of operations and links; None: counted.
        links: What is moved between ranks, while others compute: the longer of the two counts.
        pass_tokens: Most tokens of a pass.
    """

    shape: Shape
    flops: float
    rate: float | None = None
    links: Links = Links()
    pass_tokens: int = 32_768

    def forward_flops(self, tokens: float, squares: float) -> float:
        """Operations of a forward pass: 2 A T + 2 L h head_dim sum n^2.

        A are the parameters that a token is multiplied with; attention reads on average half of a sequence, with 4
        operations for each position, head and dimension.

        Args:
            tokens: T, of all sequences.
            squares: Sum of n^2 over the sequences.
        """
        shape = self.shape
        return 2 * shape.multiplied * tokens + 2 * shape.layers * shape.heads * shape.head_dim * squares

    def seconds(self, tokens: float, squares: float, forwards: int) -> float:
        """Of an update on ``tokens`` of one GPU; see ``forward_flops``, and ``extra_forwards`` for ``forwards``."""
        if self.rate is not None:
            return tokens / self.rate
        operations = (3 + forwards) * self.forward_flops(tokens, squares)
        passes = math.ceil(tokens / self.pass_tokens)
        return max(operations / self.flops, self.links.seconds(forwards, passes))


def extra_forwards(objective: ObjectiveConfig, optimizer: OptimizerConfig, passes: float = 2) -> int:
    """Forward passes of an update beside the one with a gradient: reference policy, pi_old, router statistics."""
    router = bool(objective.balance_coefficient or objective.z_coefficient) and passes > 1
    old = objective.loss != "sft" and optimizer.updates_per_rollout > 1
    return int(objective.kl_coefficient > 0) + int(old) + int(router)


@dataclass(frozen=True)
class Decoding:
    """How fast one engine decodes; it reads weights and cache once a token.

    Attributes:
        shape: The model.
        bytes_per_second: Of its GPUs together: bandwidth x share reached.
        flops: Of its GPUs together: peak x the same share.
        width: Bytes of a weight and of a cached number.
    """

    shape: Shape
    bytes_per_second: float
    flops: float
    width: int = 2

    def weights_read(self, rows: float) -> float:
        """Bytes of weights for one token of each of ``rows``: an expert is read if any row is routed to it.

        Experts are taken as equally likely and independent: 1 - (1 - k / E)^rows of them.
        """
        shape = self.shape
        used = 1 - (1 - shape.experts_per_token / shape.experts) ** rows if shape.experts else 0.0
        return self.width * (shape.total - shape.routed - shape.embedding + shape.routed * used)

    def seconds(self, rows: float, context: float) -> float:
        """Of one token of each of ``rows`` running responses that have ``context`` tokens cached together."""
        read = self.weights_read(rows) + self.shape.kv_bytes(self.width) * context
        return max(read / self.bytes_per_second, 2 * self.shape.multiplied * rows / self.flops)

    def rate(self, rows: float, mean_context: float) -> float:
        """Tokens a second of the engine with this many running responses."""
        return rows / self.seconds(rows, rows * mean_context)

    def scaled(self, factor: float) -> "Decoding":
        """An engine that is ``factor`` times as fast."""
        return Decoding(self.shape, self.bytes_per_second * factor, self.flops * factor, self.width)


def make_decoding(shape: Shape, gpu: GPU, efficiency: float, gpus: int, width: int = 2) -> Decoding:
    """An engine of ``gpus`` GPUs that reaches ``efficiency`` of their bandwidth and peak."""
    return Decoding(shape, gpu.bandwidth_gb * 1e9 * efficiency * gpus, gpu.tflops * 1e12 * efficiency * gpus, width)
