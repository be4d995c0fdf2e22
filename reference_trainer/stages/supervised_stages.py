"""The three supervised stages: base pre-training, distillation, general fine-tuning."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from harness.errors import CheckFailed, UsageError
from reference_trainer.export import fresh_model, load_checkpoint_model
from reference_trainer.recipe import BaseConfig, DistillConfig, GeneralConfig, HubData
from reference_trainer.sft import Example
from reference_trainer.stages.measure import sample, verify
from reference_trainer.stages.sources import (
    checkpoint_to_start_from,
    load_examples,
    load_prompts,
    load_tokenizer,
    question_examples,
    toy_data,
)
from reference_trainer.stages.stage import StageRun
from reference_trainer.stages.supervised import train_supervised
from reference_trainer.tasks import Attempt, Verifier
from reference_trainer.tasks.corpus import documents
from reference_trainer.tasks.instructions import instructions


def base(run: StageRun) -> None:
    """Pre-trains fresh weights on worked solutions; leaves the model as ``epoch-N/``."""
    config: BaseConfig = _section(run.recipe.base)
    tokenizer = load_tokenizer(run)
    # The recipe's own seed, as for the demonstrations: the teacher shows how to answer what has been read about.
    texts = documents(config.documents, run.recipe.seed, toy_data(run).shares)
    encode, end = partial(tokenizer.encode, add_special_tokens=False), tokenizer.eos_token_id
    # Statements are drawn at random: to learn to foresee their digits is noise that hides what can be learnt.
    examples = [Example((end, *encode(statement)), (*encode(solution), end)) for statement, solution in texts]
    torch.manual_seed(run.seed)
    train_supervised(run, fresh_model(run.recipe.model, tokenizer), tokenizer, examples, config)


def distill(run: StageRun) -> None:
    """Long-CoT supervised fine-tuning of the base model; every epoch is a candidate of the selection."""
    config, tokenizer = run.recipe.distill, load_tokenizer(run)
    if config.teacher == "rejection":
        examples = list(_accepted_generations(run, config, tokenizer))
    else:
        examples = load_examples(run, tokenizer)
    torch.manual_seed(run.seed)
    model: Any
    if run.recipe.base is not None:
        model = load_checkpoint_model(run.of("base", f"epoch-{run.recipe.base.epochs}"), run.recipe.model)
    elif run.recipe.model.path is not None:
        model = load_checkpoint_model(run.recipe.model.path, run.recipe.model)
    else:
        model = fresh_model(run.recipe.model, tokenizer)
    train_supervised(run, model, tokenizer, examples, config)


def general(run: StageRun) -> None:
    """General supervised fine-tuning; the model's own accepted responses among the data keep its reasoning.

    Leaves ``reasoning.pt`` (those responses) and the checkpoint of each epoch.
    """
    config: GeneralConfig = _section(run.recipe.general)
    tokenizer = load_tokenizer(run)
    model = load_checkpoint_model(checkpoint_to_start_from(run, "c3po-code-science"), run.recipe.model)
    data = _general_examples(run, tokenizer)
    wanted = round(len(data) * config.reasoning_share / (1 - config.reasoning_share))
    reasoning = _own_responses(run, model, tokenizer, config, wanted)
    train_supervised(run, model, tokenizer, [*data, *reasoning], config)


def _own_responses(run: StageRun, model: Any, tokenizer: Any, config: GeneralConfig, wanted: int) -> list[Example]:
    """``wanted`` accepted responses (rejection sampling); drawn once, then read from ``reasoning.pt``."""
    stored = run.folder / "reasoning.pt"
    run.team.first(partial(_draw_own, run, model, tokenizer, config, wanted, stored))
    return [Example(tuple(prompt), tuple(response)) for prompt, response in torch.load(stored, weights_only=True)]


def _draw_own(run: StageRun, model: Any, tokenizer: Any, config: GeneralConfig, wanted: int, stored: Path) -> None:
    if stored.exists():
        return
    prompts = load_prompts(run, tokenizer)
    Random(run.seed).shuffle(prompts)
    prompts = prompts[: -(-wanted * 2 // config.samples)]  # at least every other response should be right
    drawn = sample(run, model, tokenizer, prompts, config.samples, config.max_new_tokens)
    with Verifier() as verifier:
        measured = verify(*drawn, tokenizer, verifier)
    kept = [
        (rollout.prompt.tolist(), rollout.response.tolist())
        for rollout, reward in zip(measured.rollouts, measured.rewards, strict=True)
        if reward == 1 and rollout.finished
    ][:wanted]
    if wanted and not kept:
        raise CheckFailed(f"stage {run.name}: the verifier accepts none of the model's own responses")
    partial = stored.with_suffix(".partial")
    torch.save(kept, partial)
    partial.replace(stored)


def _general_examples(run: StageRun, tokenizer: Any) -> list[Example]:
    if isinstance(run.recipe.data, HubData):
        from reference_trainer.hub_data import hub_demonstrations

        return [Example(*pair) for pair in hub_demonstrations(run.recipe.data, tokenizer, "general")]
    drawn = instructions(toy_data(run).instructions, "train", run.recipe.seed)
    return question_examples(((item.question, item.answer) for item in drawn), tokenizer)


def _accepted_generations(run: StageRun, config: DistillConfig, tokenizer: Any) -> Iterator[Example]:
    """Rejection sampling: a teacher's saved responses that the verifier accepts, so many a problem."""
    from harness.importers.reader import generations
    from reference_trainer.tasks.tokenizer import response_tokens

    assert config.generations is not None  # DistillConfig checks it
    prompts = {prompt.id: prompt for prompt in load_prompts(run, tokenizer)}
    found = []
    for place, generation in generations(config.generations):
        prompt = prompts.get(str(generation.problem))
        if prompt is None:
            raise UsageError(f"{place}: the problem '{generation.problem}' is none of the training problems")
        found.append((prompt, generation.response, generation.finish_reason == "length"))
    with Verifier() as verifier:
        verdicts = verifier.verify([Attempt(prompt.gold, text, cut) for prompt, text, cut in found])
    kept: dict[str, int] = {}
    for (prompt, text, _), right in zip(found, verdicts, strict=True):
        if right and kept.get(prompt.id, 0) < config.keep_per_problem:
            kept[prompt.id] = kept.get(prompt.id, 0) + 1
            yield Example(prompt.tokens, response_tokens(text, tokenizer))


def _section(section: Any) -> Any:
    if section is None:
        raise UsageError("the recipe leaves this stage out")
    return section
