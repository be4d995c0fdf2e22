"""Toy data of a run, and its curation for reinforcement learning."""

import json
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from reference_trainer.curate import curate as run_curation
from reference_trainer.curate.phase import write_rows
from reference_trainer.curate.recipe import Decontaminate, Deduplicate, Difficulty, Model, Recipe, Select
from reference_trainer.export import load_checkpoint_model
from reference_trainer.stages.measure import sample
from reference_trainer.stages.sources import CURATED, load_prompts, load_tokenizer, toy_data
from reference_trainer.stages.stage import StageRun
from reference_trainer.tasks import DOMAINS
from reference_trainer.tasks.files import SIZES, read_problems, write_toy
from reference_trainer.tasks.problems import TOYS

GENERATIONS, TEACHER, PROBLEMS = "generations.jsonl", "teacher.jsonl", "problems.jsonl"


def data(run: StageRun) -> None:
    """Writes problems, demonstrations, tokenizer and the held-out sets of the ``toy_*`` benchmarks."""
    toy = toy_data(run)
    sizes: dict[Any, int] = {**SIZES, "train": toy.train, "validation": toy.validation}
    write_toy(run.folder, run.recipe.seed, sizes, toy.demonstrations, toy.hasty_share, toy.shares)
    run.progress(1, 1)


def curate(run: StageRun) -> None:
    """Figure 2 on the problems of reinforcement learning, with the selected model's pass rates."""
    config = run.recipe.curate
    if config is None:
        raise UsageError("the recipe leaves curation out")
    tokenizer = load_tokenizer(run)
    generations = run.folder / GENERATIONS
    if not generations.exists():
        model = load_checkpoint_model(run.of("select", "checkpoint"), run.recipe.model)
        prompts = load_prompts(run, tokenizer)
        asked, rollouts = sample(run, model, tokenizer, prompts, config.samples, config.max_new_tokens)
        run.progress(1, 2)
        texts = [tokenizer.decode(r.response.tolist(), skip_special_tokens=True) for r in rollouts]
        write_rows(
            generations,
            (
                {"problem_id": prompt.id, "response": text, "finish_reason": "stop" if rollout.finished else "length"}
                for prompt, text, rollout in zip(asked, texts, rollouts, strict=True)
            ),
        )
    problems = run.folder / PROBLEMS
    files = [run.of("data", f"{domain}/train.jsonl") for domain in DOMAINS]
    write_rows(problems, (json.loads(line) for file in files for line in file.read_text().splitlines()))
    recipe = Recipe(
        deduplicate=Deduplicate(near=False),  # toy problems differ in a character or two by nature
        # Toy problems share their formulas by nature: n-grams longer than any problem, so that equal questions count.
        decontaminate=Decontaminate(benchmarks=tuple(f"toy_{domain}" for domain in DOMAINS), n=64),
        models=(
            Model(name="distilled", generations=(generations,)),
            Model(name="teacher", generations=(_careful_solutions(run),)),
        ),
        difficulty=Difficulty(model="distilled"),
        select=Select(model="distilled", others=("teacher",)),
    )
    run_curation(problems, run.folder, recipe, data=run.of("data"))
    run.progress(2, 2)
    if not (run.folder / CURATED).stat().st_size:
        raise UsageError(f"curation left no problem; {run.folder / 'report.json'} has the counts of every phase")


def _careful_solutions(run: StageRun) -> Path:
    """One careful solution a problem: the stronger model whose success keeps what the distilled one never solves."""
    path = run.folder / TEACHER
    problems = [problem for d in DOMAINS for problem in read_problems(run.of("data", f"{d}/train.jsonl"))]
    rows = ({"problem_id": problem.id, "response": TOYS[problem.domain].careful(problem)} for problem in problems)
    write_rows(path, rows)
    return path
