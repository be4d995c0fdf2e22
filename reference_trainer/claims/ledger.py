"""The ledger of the paper's findings: one JSON, one picture and one row for each, with the command that repeats it."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from harness.errors import UsageError, nearest
from harness.store import write_json
from reference_trainer.checkpoint import environment
from reference_trainer.claims.claim import Claim, Outcome
from reference_trainer.claims.domains import CLAIM as DOMAINS
from reference_trainer.claims.efficiency import CLAIM as EFFICIENCY
from reference_trainer.claims.epochs import CLAIM as EPOCHS
from reference_trainer.claims.lab import Lab
from reference_trainer.claims.selection import CLAIM as SELECTION
from reference_trainer.claims.stability import CLAIM as STABILITY
from reference_trainer.recipe import Recipe
from reference_trainer.report.chart import HEIGHT, WIDTH, line_chart

CLAIMS: dict[str, Claim] = {claim.name: claim for claim in (EPOCHS, SELECTION, STABILITY, DOMAINS, EFFICIENCY)}


def prove(
    names: Sequence[str],
    recipe: Recipe,
    seeds: Sequence[int],
    work: Path,
    out: Path,
    command: str,
    show: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Runs experiments, and writes what came out.

    Args:
        names: Claims; empty: all.
        recipe: Whose trainings they are made of.
        seeds: One training of each kind for every seed.
        work: Folder of the trainings; the same call goes on there.
        out: Folder of the ledger.
        command: That repeats it, for the record.
        show: Told what is being trained.

    Returns:
        The records, as written.

    Raises:
        UsageError: An unknown claim.
    """
    chosen = [_claim(name) for name in names] or list(CLAIMS.values())
    lab = Lab(recipe, work, show)
    records = []
    for claim in chosen:
        outcome = claim.run(lab, seeds)
        record = _record(claim, outcome, recipe, seeds, command) | {"training_minutes": lab.seconds(seeds) / 60}
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / f"{claim.name}.json", record)
        (out / f"{claim.name}.svg").write_text(picture(outcome), encoding="utf-8")
        records.append(record)
    return records


def table(out: Path) -> str:
    """The ledger as a Markdown table, from the records that lie in ``out``."""
    lines = ["| claim | verdict | what was seen |", "|---|---|---|"]
    for name in CLAIMS:
        path = out / f"{name}.json"
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            seen = "<br>".join(f"{part['statement']} **{part['verdict']}**: {part['why']}" for part in record["parts"])
            lines.append(
                f"| [{name}]({name}.json) ([plot]({name}.svg)): {record['finding']} | {record['verdict']} | {seen} |"
            )
    return "\n".join(lines) + "\n"


def picture(outcome: Outcome) -> str:
    """All plots of an outcome in one SVG that needs no other file."""
    parts = []
    for number, plot in enumerate(outcome.plots):
        top = number * (HEIGHT + 40)
        names = "   ".join(f"{line.name} ({_DASHES[line.style % len(_DASHES)]})" for line in plot.series)
        chart = line_chart(plot.title, plot.series, plot.x_name, from_zero=False)
        parts.append(f'<text x="10" y="{top + 16}" class="head">{plot.title}</text>')
        parts.append(f'<text x="10" y="{top + 30}">{names}</text>')
        parts.append(f'<svg x="0" y="{top + 36}" width="{WIDTH}" height="{HEIGHT}">{chart}</svg>')
    height = len(outcome.plots) * (HEIGHT + 40)
    style = resources.files("reference_trainer.claims").joinpath("plot.css").read_text(encoding="utf-8")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{2 * WIDTH}">'
    return f"{head}<style>{style}</style>{''.join(parts)}</svg>\n"


_DASHES = ("solid", "dashed", "dotted", "dash-dot", "short dashes")


def _claim(name: str) -> Claim:
    if name not in CLAIMS:
        raise UsageError(f"no claim '{name}'{nearest(name, CLAIMS)}; known: {', '.join(CLAIMS)}")
    return CLAIMS[name]


def _record(claim: Claim, outcome: Outcome, recipe: Recipe, seeds: Sequence[int], command: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": claim.name,
        "finding": claim.finding,
        "hypothesis": claim.hypothesis,
        "experiment": claim.experiment,
        "test": claim.test,
        "verdict": outcome.verdict,
        "parts": [asdict(part) for part in outcome.parts],
        "seeds": list(seeds),
        "numbers": outcome.numbers,
        "command": command,
        "recipe": recipe.model_dump(mode="json"),
        "environment": environment(),
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The commit of the working copy that this package lies in, or None."""
    here = Path(__file__).parent
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
