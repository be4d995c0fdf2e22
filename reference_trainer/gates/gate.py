"""A gate: makes the checks of a finished stage, writes their record, and stops the pipeline where one does not hold."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from harness.errors import CheckFailed, UsageError
from reference_trainer.checkpoint import environment
from reference_trainer.gates.record import RECORD, Check, Judgement, read_record, write_record
from reference_trainer.stages import StageRun, check_outputs, read_manifest

Property = Callable[[StageRun], Iterable[Check]]


class StageGate:
    """The gate of one stage.

    Args:
        properties: Make the checks on the stage's artefacts; each a function from the stage to its checks.
    """

    def __init__(self, properties: Sequence[Property]):
        self.properties = properties

    def __call__(self, run: StageRun) -> dict[str, Any]:
        """Judges a finished stage; returns the record, that of before where it is green and nothing has changed.

        Raises:
            CheckFailed: A check does not hold: which, by how much, and what to look at. The record says it, too.
            UsageError: The stage has not been finished.
        """
        facts = self._facts(run)
        before = _readable(run)
        if before is not None and before["verdict"] == "green" and all(before[name] == facts[name] for name in facts):
            return before
        judgement = self.judge(run)
        record = write_record(run.folder, judgement, facts)
        if judgement.red:
            first, *more = judgement.red
            others = f" ({len(more)} more: {', '.join(check.name for check in more)})" if more else ""
            raise CheckFailed(f"gate {run.name} is red: {first}{others}. All checks: {run.folder / RECORD}")
        return record

    def judge(self, run: StageRun) -> Judgement:
        """Makes the checks; those that rest on damaged files are not made."""
        checks = [_outputs(run)]
        if checks[0].ok:
            for part in self.properties:
                checks += _checks(part, run)
        return Judgement(checks, "nothing was compared")

    def _facts(self, run: StageRun) -> dict[str, Any]:
        manifest = read_manifest(run.folder)
        return {
            "gates": run.recipe.gates.model_dump(mode="json"),
            "inputs": manifest["inputs"],
            "outputs": manifest["outputs"],
            "environment": environment(),
            "seed": run.seed,
        }


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
