"""Whether a run folder is whole: everything that was asked for is there, and results.json says what the files say."""

import json
import math
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.scoring_results import RESULTS, Results, results_json

# What decides a score; wording may change between versions of ringlite without a figure being another.
_FIGURES = ("problems", "samples", "ungraded", "score", "se_samp", "se_total", "finished_score", "scorer")


def faults(results: Results) -> list[str]:
    """What is wrong with a run folder, one sentence each; empty for a whole one."""
    found = []
    for row in results.rows:
        score, name = row.score, row.title
        wanted = int(row.entry["extent"]["n"])
        there = score.samples + score.ungraded
        if there < score.expected_problems * wanted:
            found.append(f"{name}: {there} of {score.expected_problems * wanted} samples are there")
        if score.ungraded:
            found.append(f"{name}: {score.ungraded} samples have no grade of {score.scorer}")
        if score.stray_grades:
            found.append(f"{name}: {score.stray_grades} grades belong to no sample")
    return found


def stored_results(folder: Path) -> dict[str, Any] | None:
    """results.json of a run folder; None where there is none.

    Raises:
        UsageError: It is there and not a results file.
    """
    path = folder / RESULTS
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content["benchmarks"], list) or not isinstance(content["against"]["name"], str):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path} is not a results file; `ringlite report {folder}` writes it again") from None
    return dict(content)


def stale(results: Results, stored: dict[str, Any]) -> list[str]:
    """Figures of results.json that the samples and grades do not give (any more)."""
    fresh = {row["benchmark"]: row for row in results_json(results)["benchmarks"]}
    found = []
    for row in stored["benchmarks"]:
        name = row.get("benchmark")
        if name not in fresh:
            found.append(f"{name}: results.json has it, the run has not")
            continue
        for figure in _FIGURES:
            if not _same(row.get(figure), fresh[name][figure]):
                found.append(
                    f"{name}: results.json says {figure} {row.get(figure)}, the files give {fresh[name][figure]}"
                )
        if (row.get("verdict") or {}).get("outcome") != (fresh[name]["verdict"] or {}).get("outcome"):
            found.append(f"{name}: the verdict in results.json is another than the files give")
    return found + [
        f"{name}: not in results.json"
        for name in fresh
        if name not in {r.get("benchmark") for r in stored["benchmarks"]}
    ]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)
