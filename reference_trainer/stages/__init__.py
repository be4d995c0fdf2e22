"""The stages of the pipeline in their order; each is a function from the files of earlier ones to files of its own."""

from reference_trainer.recipe import Recipe, ToyData
from reference_trainer.stages.data import curate, data
from reference_trainer.stages.reinforcement import c3po_code_science, c3po_math, grpo_math
from reference_trainer.stages.selection import select
from reference_trainer.stages.stage import Stage, StageRun, check_outputs, is_done, read_manifest, run_stage, stage_key
from reference_trainer.stages.supervised_stages import base, distill, general

_METRICS = "metrics.jsonl"
_RL_OUTPUTS = ("checkpoint", "evidence", _METRICS)

STAGES: tuple[Stage, ...] = (
    Stage(
        "data",
        lambda r: r.data if isinstance(r.data, ToyData) else None,
        (),
        ("math", "code", "science", "tokenizer", "sft.jsonl", "toy_math.jsonl", "toy_code.jsonl", "toy_science.jsonl"),
        data,
    ),
    Stage("base", lambda r: r.base, ("data",), ("epoch-*", _METRICS), base, trains=True),
    Stage("distill", lambda r: r.distill, ("data", "base"), ("epoch-*", _METRICS), distill, trains=True),
    Stage("select", lambda r: r.select, ("data", "distill"), ("checkpoint", "selection.json"), select),
    Stage("curate", lambda r: r.curate, ("data", "select"), ("curated.jsonl",), curate),
    Stage("c3po-math", lambda r: r.c3po_math, ("data", "select", "curate"), _RL_OUTPUTS, c3po_math, trains=True),
    Stage(
        "grpo-math",
        lambda r: r.c3po_math if r.comparison else None,
        ("data", "select", "curate"),
        _RL_OUTPUTS,
        grpo_math,
        trains=True,
    ),
    Stage(
        "c3po-code-science",
        lambda r: r.c3po_code_science,
        ("data", "select", "curate", "c3po-math"),
        _RL_OUTPUTS,
        c3po_code_science,
        trains=True,
    ),
    Stage(
        "general",
        lambda r: r.general,
        ("data", "curate", "c3po-code-science"),
        ("epoch-*", "reasoning.pt", _METRICS),
        general,
        trains=True,
    ),
)


def stages_of(recipe: Recipe) -> list[Stage]:
    """The stages that the recipe has, in their order."""
    return [stage for stage in STAGES if stage.section(recipe) is not None]


__all__ = [
    "STAGES",
    "Stage",
    "StageRun",
    "check_outputs",
    "is_done",
    "read_manifest",
    "run_stage",
    "stage_key",
    "stages_of",
]
