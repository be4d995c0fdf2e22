"""The results as Markdown: for a pull request, an issue or a model card."""

import math

from harness.report.sections import sentence
from harness.report.wording import OUTCOME_MARKS, points, share
from harness.scoring_results import Results, Row


def markdown(results: Results) -> str:
    """A table of scores and verdicts, the reasons, and how the run was made."""
    head = (
        "benchmark",
        "P x n",
        "avg@n",
        "95 % interval",
        "SE total",
        "truncated",
        "no answer",
        "published",
        "verdict",
    )
    lines = [f"## {_cell(results.model)} against {_cell(results.target.title)}", ""]
    lines += [_line(head), _line(["---", *["--:"] * 7, "---"]), *(_line(_row(row)) for row in results.rows), ""]
    if any(row.verdict for row in results.rows):
        lines += [f"**{OUTCOME_MARKS[results.summary.outcome]}**: {results.summary.line}.", ""]
    lines += [f"- {_cell(row.title)}: {_cell(sentence(row.verdict))}" for row in results.rows if row.verdict]
    engine = results.manifest.get("engine", {})
    made = " ".join(str(engine[name]) for name in ("name", "version", "dtype") if engine.get(name))
    version = results.manifest.get("ringlite", "")
    lines += ["", f"Engine {_cell(made)}, seed {results.manifest.get('seed')}, ringlite {version}.", ""]
    return "\n".join(lines)


def _row(row: Row) -> list[str]:
    score, verdict = row.score, row.verdict
    whole = score.problems == score.total_problems
    asked = f"{score.problems}" if whole else f"{score.problems} of {score.total_problems}"
    interval = score.interval_samp
    span = "—" if math.isnan(interval.low) else f"{points(interval.low)} to {points(interval.high)}"
    return [
        _cell(row.title),
        f"{asked} x {score.fewest}",
        points(score.score),
        span,
        points(score.se_total),
        share(score.shares.truncated),
        share(score.shares.no_answer),
        row.published.text if row.published else "—",
        OUTCOME_MARKS[verdict.outcome] if verdict else "—",
    ]


def _line(cells: "list[str] | tuple[str, ...]") -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    """Text that cannot leave its cell or become markup."""
    flat = " ".join(text.split())
    for char in "\\|`*_[]<>":
        flat = flat.replace(char, f"\\{char}")
    return flat
