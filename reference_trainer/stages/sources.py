"""What the stages read: tokenizer, demonstrations and prompts, of the toy or of hub data sets."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from reference_trainer.recipe import HubData, ToyData
from reference_trainer.sft import Example
from reference_trainer.stages.stage import StageRun
from reference_trainer.stream import Prompt
from reference_trainer.tasks import DOMAINS, Domain, ToyProblem
from reference_trainer.tasks.files import DEMONSTRATIONS, TOKENIZER, read_problems
from reference_trainer.tasks.tokenizer import prompt_tokens, response_tokens, stream_prompts

DATA, CURATED = "data", "curated.jsonl"
_BEFORE_CURATION = ("distill", "select", "curate")  # run again, these must not read what an earlier run curated


def toy_data(run: StageRun) -> ToyData:
    """The toy's settings.

    Raises:
        UsageError: The recipe is of hub data.
    """
    if not isinstance(run.recipe.data, ToyData):
        raise UsageError(f"stage {run.name} makes toy data, and recipe '{run.recipe.name}' reads hub data")
    return run.recipe.data


def load_tokenizer(run: StageRun) -> Any:
    """The toy's tokenizer, or that of the base model."""
    from transformers import AutoTokenizer

    place = run.of(DATA, TOKENIZER) if isinstance(run.recipe.data, ToyData) else run.recipe.model.path
    try:
        return AutoTokenizer.from_pretrained(str(place))
    except Exception as error:
        raise UsageError(f"the tokenizer of {place} cannot be loaded: {type(error).__name__}: {error}") from error


def load_examples(run: StageRun, tokenizer: Any) -> list[Example]:
    """Demonstrations of the distillation."""
    if isinstance(run.recipe.data, HubData):
        from reference_trainer.hub_data import hub_demonstrations

        return [Example(*pair) for pair in hub_demonstrations(run.recipe.data, tokenizer)]
    from harness.loaders.read import read_rows

    rows = read_rows(run.of(DATA, DEMONSTRATIONS))
    return question_examples(((row["prompt"], row["response"]) for row in rows), tokenizer)


def question_examples(pairs: Iterable[tuple[str, str]], tokenizer: Any) -> list[Example]:
    """(question, response) texts as token ids in the tokenizer's chat form."""
    return [Example(prompt_tokens(asked, tokenizer), response_tokens(told, tokenizer)) for asked, told in pairs]


def load_prompts(run: StageRun, tokenizer: Any, domains: Iterable[Domain] = DOMAINS) -> list[Prompt]:
    """Problems of reinforcement learning, the curated ones where the recipe curates."""
    wanted = tuple(domains)
    if isinstance(run.recipe.data, HubData):
        from reference_trainer.hub_data import hub_prompts

        return [prompt for prompt in hub_prompts(run.recipe.data, tokenizer) if prompt.domain in wanted]
    return stream_prompts(load_problems(run, wanted), tokenizer)


def load_problems(run: StageRun, domains: Iterable[Domain]) -> list[ToyProblem]:
    """The toy problems that reinforcement learning draws."""
    curated = run.recipe.curate is not None and run.name not in _BEFORE_CURATION
    if curated and run.of("curate", CURATED).exists():
        return [problem for domain in domains for problem in read_problems(run.of("curate", CURATED), domain)]
    return [problem for domain in domains for problem in read_problems(run.of(DATA, f"{domain}/train.jsonl"))]


def validation_prompts(run: StageRun, tokenizer: Any, count: int, domains: Iterable[Domain] = DOMAINS) -> list[Prompt]:
    """The first ``count`` validation problems of each domain; for hub data problems that come last in the epoch."""
    if isinstance(run.recipe.data, HubData):
        return load_prompts(run, tokenizer, domains)[-count:]
    files = [run.of(DATA, f"{domain}/validation.jsonl") for domain in domains]
    return stream_prompts([problem for file in files for problem in read_problems(file)[:count]], tokenizer)


def checkpoint_to_start_from(run: StageRun, stage: str, name: str = "checkpoint") -> Path | str:
    """An earlier stage's checkpoint where the recipe has that stage, else the base model."""
    place = run.of(stage, name)
    if place.exists():
        return place
    if run.recipe.model.path is None:
        raise UsageError(f"{place} is not there, and recipe '{run.recipe.name}' has no model.path")
    return run.recipe.model.path
