"""A gate: makes the checks of a finished stage, writes their record, and stops the pipeline where one does not hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import CheckFailed, UsageError
from harness.protocol import digest
from reference_trainer.checkpoint import environment
from reference_trainer.gates.baseline import for_stage
from reference_trainer.gates.record import RECORD, Check, Judgement, read_record, write_record
from reference_trainer.gates.regression import check_bounds, compare
from reference_trainer.gates.scores import DomainScore, as_json, held_out_scores
from reference_trainer.recipe import Recipe, ToyData
from reference_trainer.stages import StageRun, check_outputs, read_manifest, stages_of

Property = Callable[[StageRun], Iterable[Check]]


class StageGate:
    """The gate of one stage.

    Args:
        properties: Make the checks on the stage's artefacts; each a function from the stage to its checks.
        checkpoint: Name of the folder in the stage that is scored, by the recipe.
        ceilings: Whether the scores have to stay below the recipe's ceilings.
        after: Earlier stage of the same run against whose scores these are held, too.
    """

    def __init__(
        self,
        properties: Sequence[Property],
        checkpoint: Callable[[Recipe], str],
        *,
        ceilings: bool = False,
        after: str | None = None,
    ):
        self.properties, self.checkpoint = properties, checkpoint
        self.ceilings, self.after = ceilings, after

    def __call__(self, run: StageRun) -> dict[str, Any]:
        """Judges a finished stage; returns the record, that of before where it is green and nothing has changed.

        Raises:
            CheckFailed: A check does not hold: which, by how much, and what to look at. The record says it, too.
            UsageError: The stage has not been finished.
        """
        key = self._key(run)
        before = _readable(run)
        if before is not None and before["verdict"] == "green" and all(before.get(name) == key[name] for name in key):
            return before
        record = self.record(run)
        if record["verdict"] == "red":
            raise CheckFailed(red_message(run.folder, record))
        return record

    def record(self, run: StageRun) -> dict[str, Any]:
        """Judges a finished stage, whatever was recorded before; writes the record and returns it."""
        return write_record(run.folder, self.judge(run), self._key(run))

    def judge(self, run: StageRun) -> Judgement:
        """Makes the checks. Those that rest on damaged files are not made, nor is a faulty stage scored."""
        checks = [_outputs(run)]
        if checks[0].ok:
            for part in self.properties:
                checks += _checks(part, run)
        if not isinstance(run.recipe.data, ToyData):
            return Judgement(checks, "nothing: held-out sets are those of the toy")
        if any(not check.ok for check in checks):
            return Judgement(checks, "nothing: a stage whose properties do not hold is not scored")
        return self._with_scores(run, checks)

    def _with_scores(self, run: StageRun, checks: list[Check]) -> Judgement:
        settings = run.recipe.gates
        scores = held_out_scores(run, run.folder / self.checkpoint(run.recipe))
        last = [stage.name for stage in stages_of(run.recipe)][-1]
        floors = {name: floor for name, floor in settings.floors.items() if name in scores}
        points = {domain: score.score for domain, score in scores.items()}
        checks += check_bounds(points, floors if run.name == last else {}, settings.ceilings if self.ceilings else {})
        baseline, previous = for_stage(run.recipe.name, run.name), self._previous(run)
        compared = []
        if baseline is not None:
            baseline = _held_against(scores, baseline, run, "baseline", checks)
            compared.append(f"the baseline of {baseline['recorded']}")
        if previous is not None:
            previous = _held_against(scores, previous, run, "before", checks)
            compared.append(f"stage {self.after} of this run")
        said = " and ".join(compared) or f"nothing: no baseline of recipe {run.recipe.name} has been recorded"
        return Judgement(checks, said, {d: as_json(score) for d, score in scores.items()}, baseline, previous)

    def _previous(self, run: StageRun) -> Mapping[str, Any] | None:
        if self.after is None:
            return None
        folder: Path = run.of(self.after, "checkpoint")
        scores = {domain: as_json(score) for domain, score in held_out_scores(run, folder).items()}
        return {"path": f"{self.after}/checkpoint", "digest": digest(scores), "scores": scores}

    def _key(self, run: StageRun) -> dict[str, Any]:
        """What a judgement rests on."""
        manifest = read_manifest(run.folder)
        baseline = for_stage(run.recipe.name, run.name)
        return {
            "gates": run.recipe.gates.model_dump(mode="json"),
            "inputs": manifest["inputs"],
            "outputs": manifest["outputs"],
            "environment": environment(),
            "seed": run.seed,
            "baseline_digest": baseline["digest"] if baseline else None,
            "gate_code": _code(),
        }


def red_message(folder: Path, record: Mapping[str, Any]) -> str:
    """One sentence: which check does not hold first, by how much, what to look at, and how many others."""
    first, *more = [Check(**check) for check in record["checks"] if not check["ok"]]
    others = f" ({len(more)} more: {', '.join(check.name for check in more)})" if more else ""
    return f"gate {record['stage']} is red: {first}{others}. All checks: {folder / RECORD}"


def _held_against(
    scores: Mapping[str, DomainScore], before: Mapping[str, Any], run: StageRun, name: str, checks: list[Check]
) -> dict[str, Any]:
    """Adds the checks of one comparison, and returns what the record says of it."""
    found, results = compare(scores, before["scores"], run.recipe.gates, name)
    checks += found
    return {**{field: value for field, value in before.items() if field != "scores"}, "domains": results}


@cache
def _code() -> str:
    """16 digits of a hash over this package's source: a judgement of other gates is none of these."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")}
    return digest(sources)[:16]


def _readable(run: StageRun) -> dict[str, Any] | None:
    try:
        return read_record(run.folder)
    except UsageError:
        return None  # damaged or edited: judged again


def _outputs(run: StageRun) -> Check:
    try:
        check_outputs(run.folder)
    except CheckFailed as error:
        return Check("outputs", False, "other files", "the files of the stage's manifest", str(error))
    return Check("outputs", True, "as stated", "the files of the stage's manifest")


def _checks(part: Property, run: StageRun) -> Iterator[Check]:
    """The checks of one property; one that cannot be made does not hold."""
    try:
        yield from part(run)
    except (CheckFailed, UsageError) as error:
        name = part.__name__.removeprefix("check_")
        yield Check(name, False, "not to be computed", "computable from the stage's files", str(error))
