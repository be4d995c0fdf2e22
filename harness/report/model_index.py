"""Export of scores as a ``model-index`` block: how a model card on the hub lists evaluation results."""

from typing import Any

import yaml

from harness.scoring_results import Results, Row


def model_index(results: Results) -> str:
    """The YAML block to put into a model card's front matter; benchmarks without a score are left out."""
    entries = [_result(row, results) for row in results.rows if row.score.problems]
    block = {"model-index": [{"name": results.model.rsplit("/", 1)[-1], "results": entries}]}
    return yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=100)


def _result(row: Row, results: Results) -> dict[str, Any]:
    score = row.score
    args = {
        "problems": score.problems,
        "samples_per_problem": score.fewest,
        "temperature": row.protocol.get("temperature"),
        "top_p": row.protocol.get("top_p"),
        "max_tokens": row.protocol.get("max_tokens"),
        "scorer": score.scorer,
        "se_sampling": round(100 * score.se_samp, 4),
        "harness": f"ringlite {results.manifest.get('ringlite', '')}",
    }
    metric = {
        "type": "pass@1",
        "name": f"avg@{score.fewest}",
        "value": round(100 * score.score, 4),
        "args": {name: value for name, value in args.items() if value is not None},
    }
    return {
        "task": {"type": "text-generation", "name": "Text Generation"},
        "dataset": _dataset(row),
        "metrics": [metric],
    }


def _dataset(row: Row) -> dict[str, Any]:
    hub = row.card.hub[0] if row.card and row.card.hub else None
    known: dict[str, Any] = {"name": row.title, "type": hub.dataset if hub else row.score.benchmark}
    if hub:
        known["split"] = hub.split
        if len(hub.configs) == 1 and hub.configs[0] != "default":
            known["config"] = hub.configs[0]
        if hub.revision:
            known["revision"] = hub.revision
    return known
