"""The gate's checks of the supervised stages: distillation, and general fine-tuning that keeps reasoning."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.importers.reader import generations
from harness.statistics import Counts
from reference_trainer.config import OptimizerConfig
from reference_trainer.engine import UpdateBatch
from reference_trainer.export import load_checkpoint_model
from reference_trainer.gates.checkpoints import check_checkpoint
from reference_trainer.gates.drawn import holds, strategies
from reference_trainer.gates.heldout import Source, check_sources, questions_of, read_column
from reference_trainer.gates.metrics import METRICS, check_supervised_metrics
from reference_trainer.gates.plain import gradient, plain_sft
from reference_trainer.gates.probe import Probe, plain_sequences
from reference_trainer.gates.record import Check
from reference_trainer.gates.regression import check_bounds, drop
from reference_trainer.metrics import read_rows
from reference_trainer.recipe import DistillConfig, SFTConfig, ToyData
from reference_trainer.rollout import Sampling, group_requests
from reference_trainer.rollout.settings import make_rollout_engine
from reference_trainer.stages import StageRun
from reference_trainer.stages.sources import (
    checkpoint_to_start_from,
    load_examples,
    load_prompts,
    load_tokenizer,
    question_examples,
)
from reference_trainer.tasks import DOMAINS
from reference_trainer.tasks.instructions import Instruction, instructions
from reference_trainer.tasks.tokenizer import prompt_tokens, response_tokens

Pair = tuple[Sequence[int], Sequence[int]]
_EXACT = 1e-9  # float64 against float64, relative
_ROWS = 6  # demonstrations of a drawn update
_POOL = 64  # demonstrations of the stage that updates are drawn from
_INSTRUCTIONS = 100  # held-out instructions that are asked


def check_distill(run: StageRun) -> Iterator[Check]:
    """All checks of the distillation."""
    config, tokenizer = run.recipe.distill, load_tokenizer(run)
    steps = None
    if config.teacher == "data":
        examples = [(e.prompt, e.response) for e in load_examples(run, tokenizer) if len(e) <= config.max_tokens]
        steps = -(-len(examples) // config.batch_sequences) * config.epochs
    else:
        examples = _generated(run, config, tokenizer)
    yield from check_supervised_metrics(run, config, len(tokenizer), steps)
    yield _loss_fell(run)
    if isinstance(run.recipe.data, ToyData):
        sources = [Source(f"data/{domain}/train", _questions(run, domain)) for domain in DOMAINS]
        sources.append(Source("data/sft", read_column(run.of("data", "sft.jsonl"), "prompt")))
        yield from check_sources(run, sources)
    ids = torch.tensor([list(examples[0][0])])
    places = [run.folder / f"epoch-{epoch}" for epoch in range(1, config.epochs + 1)]
    checkpoints = [check for place in places for check in check_checkpoint(run, place, ids)]
    yield from checkpoints
    if all(check.ok for check in checkpoints):
        yield _objective(run, config, places[-1], examples)


def check_general(run: StageRun) -> Iterator[Check]:
    """All checks of the general stage."""
    config, tokenizer = run.recipe.general, load_tokenizer(run)
    assert config is not None
    folder = run.folder / f"epoch-{config.epochs}"
    yield from check_supervised_metrics(run, config, len(tokenizer), None)
    stored: list[tuple[list[int], list[int]]] = torch.load(run.folder / "reasoning.pt", weights_only=True)
    examples: list[Pair] = [*stored]
    if isinstance(run.recipe.data, ToyData):
        asked = list(instructions(run.recipe.data.instructions, "train", run.recipe.seed))
        learnt = question_examples(((item.question, item.answer) for item in asked), tokenizer)
        examples += [(example.prompt, example.response) for example in learnt]
        yield from check_sources(run, [Source("reasoning", questions_of((pair[0] for pair in stored), tokenizer))])
        held = list(instructions(_INSTRUCTIONS, "heldout", 0))
        common = {item.question for item in held} & {item.question for item in asked}
        yield Check("heldout.instructions", not common, len(common), "0 held-out instructions that were trained on")
    yield _loss_fell(run)
    checkpoint = list(check_checkpoint(run, folder, torch.tensor([list(examples[0][0])])))
    yield from checkpoint
    if all(check.ok for check in checkpoint):
        yield _objective(run, config, folder, examples)
        if isinstance(run.recipe.data, ToyData):
            held = list(instructions(_INSTRUCTIONS, "heldout", 0))
            yield from _instructions(run, folder, held, tokenizer)


def _generated(run: StageRun, config: DistillConfig, tokenizer: Any) -> list[tuple[Any, Any]]:
    """Responses that rejection sampling chose from, those that it rejected among them."""
    assert config.generations is not None
    asked = {prompt.id: prompt.tokens for prompt in load_prompts(run, tokenizer)}
    given = [generation for _, generation in generations(config.generations)]
    return [(asked[str(g.problem)], response_tokens(g.response, tokenizer)) for g in given if str(g.problem) in asked]


def _questions(run: StageRun, domain: str) -> list[str]:
    return read_column(run.of("data", f"{domain}/train.jsonl"), "question")


def _loss_fell(run: StageRun) -> Check:
    """The loss at the end against that of the first step."""
    losses = [row["loss"] for row in read_rows(run.folder / METRICS)]
    last = losses[-max(1, len(losses) // 10) :]
    value = sum(last) / len(last)
    ok = value < losses[0]
    return Check(
        "metrics.loss_fell",
        ok,
        value,
        f"below {losses[0]:.4g}, the loss of the first step, over the last tenth",
        "" if ok else "look at the learning rate",
    )


def _objective(run: StageRun, config: SFTConfig, checkpoint: Path, examples: Sequence[Pair]) -> Check:
    """Value and gradient of the supervised loss for drawn demonstrations, in any order and split."""
    model = load_checkpoint_model(checkpoint, run.recipe.model).double()
    probe = Probe(model, config.objective, OptimizerConfig())
    pool = random.Random(run.seed).sample(list(examples), min(_POOL, len(examples)))
    st = strategies()
    case = st.fixed_dictionaries(
        {
            "rows": st.lists(st.integers(0, len(pool) - 1), min_size=1, max_size=_ROWS, unique=True),
            "micro_batch_tokens": st.sampled_from([1, 40, 80, 120, 16_384]),
        }
    )

    def error(drawn: dict[str, Any]) -> float:
        batch = _batch([pool[number] for number in drawn["rows"]])
        metrics, found = probe.ask(batch, config.objective, drawn["micro_batch_tokens"])
        terms = plain_sft(model, plain_sequences(batch))
        loss = terms.total(config.objective)
        expected = gradient(loss, model)
        apart = float((found - expected).norm() / (expected.norm() + 1e-12))
        entropy = abs(float(metrics["entropy"]) - terms.mean_entropy)
        return max(apart, entropy, abs(float(metrics["loss"]) - float(loss.detach())) / max(1.0, float(loss.detach())))

    return holds(
        "objective.sft",
        "mean negative log-likelihood and its gradient, whatever the order, the padding and the micro-batches,",
        _EXACT,
        case,
        run.recipe.gates.examples,
        error,
        "look at sft_loss, total_loss and UpdateEngine.update",
    )


def _batch(pairs: Sequence[Pair]) -> UpdateBatch:
    lengths = [len(response) for _, response in pairs]
    return UpdateBatch(
        prompts=[torch.tensor(list(prompt)) for prompt, _ in pairs],
        responses=[torch.tensor(list(response)) for _, response in pairs],
        lengths=torch.tensor(lengths),
        advantages=torch.zeros(len(pairs)),
        divisor=float(sum(lengths)),
        tokens=sum(lengths),
        update_responses=len(pairs),
    )


def _instructions(run: StageRun, after: Path, asked: Sequence[Instruction], tokenizer: Any) -> Iterator[Check]:
    """Share of held-out instructions that are followed to the letter, against the model before this stage."""
    gates = run.recipe.gates
    now = _followed(run, after, asked, tokenizer)
    then = _followed(run, Path(checkpoint_to_start_from(run, "c3po-code-science")), asked, tokenizer)
    result, p_value = drop(now, then, gates.margin / 100)
    share, before = float(now.rates.mean()), float(then.rates.mean())
    ok = p_value >= gates.alpha
    yield Check(
        "scores.before.instructions",
        ok,
        round(100 * share, 3),
        f"no drop beyond {gates.margin:g} points from {100 * before:.1f} (p >= {gates.alpha:g})",
        "" if ok else f"dropped by {-100 * result.difference:.1f} points, p = {p_value:.2g}: look at general's data",
    )
    floors = {name: floor for name, floor in gates.floors.items() if name == "instructions"}
    yield from check_bounds({"instructions": share}, floors, {})


def _followed(run: StageRun, checkpoint: Path, asked: Sequence[Instruction], tokenizer: Any) -> Counts:
    model = load_checkpoint_model(checkpoint, run.recipe.model)
    engine = make_rollout_engine(run.recipe.rollout_engine, model, tokenizer.eos_token_id)
    prompts = [torch.tensor(prompt_tokens(item.question, tokenizer)) for item in asked]
    requests = group_requests(prompts, run.recipe.gates.n, run.seed)
    rollouts = engine.generate(requests, Sampling(run.recipe.gates.max_tokens))
    texts = [tokenizer.decode(rollout.response.tolist(), skip_special_tokens=True) for rollout in rollouts]
    n = run.recipe.gates.n
    right = [sum(text == item.answer for text in texts[i * n : i * n + n]) for i, item in enumerate(asked)]
    return Counts.of(right, n)
