"""What a curation does: the phases of the paper's Fig. 2 with their settings, read from YAML."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.errors import UsageError
from harness.validation import load_yaml

Rule = Literal[
    "invalid_characters", "image", "multi_part", "no_answer", "multiple_choice", "true_false", "yes_no"
]  # fmt: skip
RULES: tuple[Rule, ...] = (
    "invalid_characters",
    "image",
    "multi_part",
    "no_answer",
    "multiple_choice",
    "true_false",
    "yes_no",
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(_Part):
    """Names that a field may have in the input; the first one present is taken.

    Without an id a row is named by a digest of its question; ``gold`` is what the verifier compares with where that is
    more than the answer (``reference_trainer.tasks.verifier.Attempt``).
    """

    id: tuple[str, ...] = ("id", "problem_id", "unique_id")
    question: tuple[str, ...] = ("question", "problem", "prompt")
    answer: tuple[str, ...] = ("answer", "final_answer")
    gold: tuple[str, ...] = ("gold",)
    solution: tuple[str, ...] = ("solution",)


class Cleanse(_Part):
    """Rules that drop a row."""

    rules: tuple[Rule, ...] = RULES


class Deduplicate(_Part):
    """Equal questions, and nearly equal ones by MinHash LSH.

    Attributes:
        near: Whether nearly equal questions are looked for.
        threshold: Jaccard similarity of the sets of shingles from which on two questions are the same.
        shingle: Characters of a shingle.
        permutations: Of MinHash.
    """

    near: bool = True
    threshold: float = Field(0.8, gt=0, le=1)
    shingle: int = Field(5, ge=1)
    permutations: int = Field(128, ge=16, le=1024)


class Decontaminate(_Part):
    """Word n-grams shared with evaluation problems.

    Attributes:
        benchmarks: Cards, by name or path; their rows come from the data folder or the hub.
        files: Further files of evaluation problems, relative to the recipe.
        n: Words and signs of an n-gram; a shorter evaluation problem counts only if it is equal to the question.
        min_ngrams: Different n-grams that must be shared with one evaluation problem.
    """

    benchmarks: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    n: int = Field(13, ge=1)
    min_ngrams: int = Field(1, ge=1)


class Verify(_Part):
    """Answers that the verifier cannot grade are dropped, and those that the row's own solution contradicts.

    Attributes:
        min_agreeing: Responses, of all models together, that must come to the row's answer; 0: none.
    """

    min_agreeing: int = Field(0, ge=0)


class Model(_Part):
    """Responses of one model, whose pass rates are annotated.

    Attributes:
        name: Its name in ``pass_rates``.
        runs: Run folders of the harness with grades, relative to the recipe.
        scorer: The grades of ``runs`` that count; None: strict, or code.
        generations: Files of saved responses in any format that ``ringlite grade`` reads; the verifier grades them.
    """

    name: str = Field(min_length=1)
    runs: tuple[Path, ...] = ()
    scorer: str | None = None
    generations: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        if not self.runs and not self.generations:
            raise ValueError(f"model '{self.name}' has neither runs nor generations")
        return self


class Difficulty(_Part):
    """Levels 1 (easiest) to len(bounds) + 1 by the pass rate of ``model``: one more for each bound that it is below."""

    model: str
    bounds: tuple[float, ...] = (0.75, 0.5, 0.25)

    @model_validator(mode="after")
    def _descending(self) -> Self:
        if list(self.bounds) != sorted(set(self.bounds), reverse=True) or not all(0 < b < 1 for b in self.bounds):
            raise ValueError("bounds must lie between 0 and 1, each smaller than the one before")
        return self


class Select(_Part):
    """Drops what ``model`` always solves, and what neither it nor any of ``others`` ever solves.

    Attributes:
        model: The distilled model.
        others: Stronger models, DeepSeek-R1 in the paper.
        min_samples: Responses of ``model`` without which nothing is known of a problem.
        unknown: What becomes of such problems.
    """

    model: str
    others: tuple[str, ...] = ()
    min_samples: int = Field(1, ge=1)
    unknown: Literal["drop", "keep", "refuse"] = "refuse"


class Recipe(_Part):
    """One curation. A phase that is set to null is left out."""

    columns: Columns = Columns()
    cleanse: Cleanse | None = Cleanse()
    deduplicate: Deduplicate | None = Deduplicate()
    decontaminate: Decontaminate | None = None
    verify: Verify | None = Verify()
    models: tuple[Model, ...] = ()
    difficulty: Difficulty | None = None
    select: Select | None = None

    @model_validator(mode="after")
    def _known_models(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) < len(names):
            raise ValueError("two models have the same name")
        used = [self.difficulty.model] if self.difficulty else []
        used += [self.select.model, *self.select.others] if self.select else []
        for name in used:
            if name not in names:
                raise ValueError(f"model '{name}' is used but not among models ({', '.join(names) or 'there is none'})")
        if self.verify is not None and self.verify.min_agreeing and not names:
            raise ValueError("verify.min_agreeing needs models")
        return self


def load_recipe(path: Path) -> Recipe:
    """Reads a recipe; its paths are taken relative to its own folder.

    Raises:
        UsageError: With file and key; an unknown key is named with the nearest known one, a file that is missing too.
    """
    recipe = load_yaml(Recipe, path, "curation recipe")

    def found(places: tuple[Path, ...], key: str) -> tuple[Path, ...]:
        whole = tuple(path.parent / place for place in places)
        for place in whole:
            if not place.exists():
                raise UsageError(f"curation recipe {path}: key '{key}' names {place}, which does not exist")
        return whole

    models = tuple(
        model.model_copy(
            update={
                "runs": found(model.runs, f"models.{number}.runs"),
                "generations": found(model.generations, f"models.{number}.generations"),
            }
        )
        for number, model in enumerate(recipe.models)
    )
    clean = recipe.decontaminate
    if clean is not None:
        clean = clean.model_copy(update={"files": found(clean.files, "decontaminate.files")})
    return recipe.model_copy(update={"models": models, "decontaminate": clean})
