"""A plan as text."""

from collections.abc import Sequence

from reference_trainer.plan.memory import GIB, Memory, RolloutMemory
from reference_trainer.plan.plan import Plan
from reference_trainer.plan.stages import StagePlan

WIDTH = 100


def render(plan: Plan) -> str:
    """Stages, memory, comparison with the paper, assumptions."""
    shape, machine = plan.shape, plan.machine
    spent = f"{_time(plan.hours)} h, {_time(plan.hours * machine.gpus)} GPU h"
    head = [
        f"{plan.recipe} on {machine.gpus} x {plan.gpu}: {spent}",
        f"model: N = {_count(shape.total, 2)} parameters, {_count(shape.activated, 2)} activated, "
        f"{shape.kv_bytes():,} bytes of key-value cache a token",
        f"  from {shape.source}",
    ]
    blocks = [head, _stages(plan), _budget(plan)]
    blocks += _largest(plan)
    if plan.comparisons:
        blocks.append(_paper(plan))
    blocks.append(["Assumptions", *(line for text in plan.assumptions for line in _wrapped(text))])
    return "\n\n".join("\n".join(block) for block in blocks)


def _stages(plan: Plan) -> list[str]:
    rows = [("stage", "steps", "epochs", "sampled/step", "trained/step", "rollout s", "train s", "step s", "hours")]
    for stage in plan.stages:
        rows.append(
            (
                stage.name,
                str(stage.steps or "-"),
                "-" if stage.epochs is None else f"{stage.epochs:.2f}",
                _count(stage.generated),
                _count(stage.trained),
                _time(stage.rollout_seconds),
                _time(stage.training_seconds),
                _time(stage.step_seconds),
                _time(stage.hours),
            )
        )
    return [*_table(rows), "tokens; a stage without steps only samples, and its figures are of the whole stage"]


def _budget(plan: Plan) -> list[str]:
    lines = []
    for stage in plan.stages:
        if stage.steps and stage.generated:
            lines.append(f"{stage.name}: {_budget_of(stage)}")
    return lines


def _budget_of(stage: StagePlan) -> str:
    share = f"{stage.trained / stage.generated:.1%} of the tokens sampled are trained on"
    if stage.budget is None:
        return f"no token budget; {share}"
    whole = _count(stage.budgets * stage.budget)
    return f"Phi = {stage.budget:,} for {stage.scope}, {stage.budgets:,} a step = {whole}; {share}"


def _largest(plan: Plan) -> list[list[str]]:
    """The memory of each kind of phase, of the stage that takes most; stages of one kind differ in lengths alone."""
    kinds: dict[tuple[str, ...], list[tuple[str, Memory]]] = {}
    for stage in plan.stages:
        phases = (("training", stage.memory), ("sampling", stage.rollout if stage.steps else None))
        for phase, memory in phases:
            if memory is not None:
                names = (phase, *(part.name for part in memory.parts))
                kinds.setdefault(names, []).append((stage.name, memory))
    blocks = []
    for (phase, *_), members in kinds.items():
        largest = max((memory for _, memory in members), key=lambda memory: memory.total)
        lines = _memory(f"{phase}: {', '.join(name for name, _ in members)}", largest)
        if isinstance(largest, RolloutMemory):
            cache = f"{largest.kv_tokens:,} tokens, {largest.concurrent} responses at a time"
            lines.append(f"  the cache of an engine holds {cache}")
        blocks.append(lines)
    return blocks


def _memory(title: str, memory: Memory) -> list[str]:
    verdict = "fits" if memory.fits else "DOES NOT FIT"
    lines = [f"Memory, {title}: {memory.total / GIB:.1f} of {memory.capacity / GIB:.1f} GiB a GPU, {verdict}"]
    for place, parts in (("", memory.parts), ("host: ", memory.host)):
        for part in parts:
            lines.append(f"  {place + part.name:26} {part.bytes / GIB:8.2f} GiB  {part.formula}")
    return lines


def _paper(plan: Plan) -> list[str]:
    lines = ["Against Ring-lite (arXiv 2506.14731): factor = plan / paper"]
    for item in plan.comparisons:
        verdict = "agrees" if item.agrees else "DIFFERS"
        numbers = f"paper {_figure(item.paper)}, plan {_figure(item.plan)}, factor {item.factor:.3f}"
        lines.append(f"- {item.figure}: {numbers} ({verdict} within {item.within:g})")
        lines += _wrapped(item.why, "    ", "    ")
    return lines


def _wrapped(text: str, first: str = "- ", rest: str = "  ") -> list[str]:
    import textwrap

    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _count(value: float, digits: int = 1) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:,.{digits}f} {unit}"
    return f"{value:,.0f}" if value else "-"


def _time(value: float) -> str:
    return "-" if value == 0 else f"{value:,.0f}" if value >= 100 else f"{value:.{1 if value >= 10 else 2}f}"


def _figure(value: float) -> str:
    return f"{value / 1e9:,.3f}e9" if value >= 1e9 else f"{value:,.0f}"
