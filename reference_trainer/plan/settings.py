"""What a plan has to assume, since no recipe can know it before a run: a recipe's ``plan`` section."""

from pydantic import Field

from reference_trainer.config import Switches


class GPU(Switches):
    """One accelerator and its links; the defaults are the data sheet of an H800 SXM, the network but for it.

    Attributes:
        name: For messages.
        memory_gib: Memory in GiB.
        reserve_gib: Of it, what contexts, communication buffers and fragmentation take.
        tflops: Dense bfloat16 peak in 10^12 operations a second.
        bandwidth_gb: Memory bandwidth in 10^9 bytes a second.
        node: GPUs of one node.
        node_link_gb: Link to the other GPUs of the node, one way, in 10^9 bytes a second.
        network_gb: Network to other nodes for each GPU, one way; the default is 400 Gbit/s, an assumption.
    """

    name: str = "H800"
    memory_gib: float = Field(default=80, gt=0)
    reserve_gib: float = Field(default=4, ge=0)
    tflops: float = Field(default=989, gt=0)
    bandwidth_gb: float = Field(default=3350, gt=0)
    node: int = Field(default=8, ge=1)
    node_link_gb: float = Field(default=200, gt=0)
    network_gb: float = Field(default=50, gt=0)


class PlanConfig(Switches):
    """Figures that a plan rests on. They change nothing of a run.

    Attributes:
        gpus: How many are planned for.
        gpu: Their kind.
        shape: File of the model's ``config.json`` keys, for a hub model that cannot be looked up; a name without a
            folder is a file beside the shipped recipes.
        sampling_rate: Measured tokens a second of a GPU whose engine is full; None: from the memory bandwidth.
        training_rate: Measured trained tokens a second of a GPU; None: from operations.
        mfu: Share of the peak that training reaches, counting no recomputation.
        decode_efficiency: Share of the memory bandwidth that decoding reaches.
        overhead_seconds: Of one RL step: handing weights to the sampler, verifying, AdamW.
        response_tokens: Stage -> mean generated tokens of a response.
        response_sigma: Standard deviation of the logarithm of response lengths, before the limit; makes the tail.
        prompt_tokens: Mean tokens of a prompt.
        problems: Domain -> number of training problems.
        demonstrations: Rows of the distillation data.
        demonstration_tokens: Their mean tokens, prompt included.
        general_demonstrations: Rows of the general stage's data.
        compare_paper: Compare the plan with the figures of the Ring-lite paper.
        unknown: Name of a figure above -> why it is none that was published, for the output to say so.
    """

    gpus: int = Field(default=1, ge=1)
    gpu: GPU = GPU()
    shape: str | None = None
    sampling_rate: float | None = Field(default=None, gt=0)
    training_rate: float | None = Field(default=None, gt=0)
    mfu: float = Field(default=0.2, gt=0, le=1)
    decode_efficiency: float = Field(default=0.5, gt=0, le=1)
    overhead_seconds: float = Field(default=30, ge=0)
    response_tokens: dict[str, float] = Field(default_factory=dict)
    response_sigma: float = Field(default=0.8, gt=0)
    prompt_tokens: float = Field(default=200, ge=1)
    problems: dict[str, int] = Field(default_factory=dict)
    demonstrations: int | None = Field(default=None, ge=1)
    demonstration_tokens: float | None = Field(default=None, gt=1)
    general_demonstrations: int | None = Field(default=None, ge=1)
    compare_paper: bool = False
    unknown: dict[str, str] = Field(default_factory=dict)
