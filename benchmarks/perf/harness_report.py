"""Tables and JSON of the harness benchmark, with the versions, commit and machine that it measured."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from benchmarks.perf import openai_scaling
from benchmarks.perf.sandbox_report import environment

_PACKAGES = ("aiohttp", "lm_eval", "math-verify", "latex2sympy2_extended", "sympy", "antlr4-python3-runtime")
_WHOLE = {
    "wall, s": ("wall", ".1f"),
    "of it before the first request, s": ("start_up", ".1f"),
    "of it sampling, s": ("sampling", ".1f"),
    "CPU an answer, ms": ("cpu_ms_an_answer", ".2f"),
    "peak memory, MiB": ("peak", ",.0f"),
    "growth since the process began, MiB": ("growth", ",.0f"),
    "growth since the first request, MiB": ("growth_since_first_request", ",.0f"),
    "growth over a run of one answer a problem, MiB": ("growth_with_answers", ",.0f"),
    "peak of the summed RSS, MiB": ("peak_rss_sum", ",.0f"),
}


def table(results: dict[str, Any]) -> str:
    """The figures in Markdown."""
    parts: list[str] = []
    if "whole" in results:
        parts += _whole(results["whole"], results["characters"])
    if "sampling" in results:
        parts += ["| sampling alone | requests/s | of the bare client | CPU ms a request |", "|---|---|---|---|"]
        parts += [
            f"| {name} | {row['per_second']:,.0f} | {row['of_bare']:.2f} | {row['cpu_ms']:.2f} |"
            for name, row in results["sampling"].items()
        ]
        parts.append("")
    if "openai" in results:
        parts += ["| requests to a served model | |", "|---|---|"]
        parts += [f"| {name} | {value} |" for name, value in openai_scaling.rows(results["openai"])]
        parts.append("")
    parts += [f"Missed: {miss}" for miss in results["misses"]]
    return "\n".join(parts)


def _whole(results: dict[str, Any], characters: int) -> list[str]:
    ours, theirs = results["ringlite"], results["lm-eval"]
    head = f"{results['answers']:,} answers of {characters:,} characters, {100 * results['correct']:.2f} % right"
    lines = [f"| {head} | ringlite | lm-eval | ratio |", "|---|---|---|---|"]
    for title, (name, form) in _WHOLE.items():
        ratio = f"{ours[name] / theirs[name]:.2f}" if theirs[name] > 0 else ""
        lines.append(f"| {title} | {ours[name]:{form}} | {theirs[name]:{form}} | {ratio} |")
    return [*lines, ""]


def save(results: dict[str, Any], text: str, out: Path) -> None:
    """Writes ``harness.json`` and ``harness.md`` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    found = environment()
    found["versions"] |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    content = {"schema_version": 1, "benchmark": "harness", **found, **results}
    (out / "harness.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (out / "harness.md").write_text(text + "\n", encoding="utf-8")
