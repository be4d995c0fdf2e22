"""The part of the page that says what each stage was made with and from: versions, seeds, hashes."""

from collections.abc import Sequence
from html import escape
from typing import Any

from harness.report.markup import table
from reference_trainer.report.run_files import StageFiles

SHORT = 12


def facts_section(stages: Sequence[StageFiles]) -> str:
    """Manifest of every finished stage: seed, threads, versions, and the short hash of each file that it left."""
    parts = [_stage(stage) for stage in stages if stage.manifest]
    if not parts:
        return '<p class="quiet">No stage is finished.</p>'
    note = f"Hashes are the first {SHORT} digits of SHA-256; each stage's manifest.json has them whole."
    return f'<p class="quiet small">{note}</p>' + "".join(parts)


def _stage(stage: StageFiles) -> str:
    manifest = stage.manifest
    settings, environment = _table(manifest, "settings"), _table(manifest, "environment")
    facts = {name: settings.get(name) for name in ("seed", "threads")} | environment
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    inputs = ", ".join(_table(manifest, "inputs")) or "nothing"
    rows = [
        (f"<code>{escape(name)}</code>", f"<code>{escape(str(digest)[:SHORT])}</code>")
        for name, digest in sorted(_table(manifest, "outputs").items())
    ]
    return (
        f"<details><summary>{escape(stage.name)}: {len(rows)} files</summary>"
        f"<p>{escape(told)}; reads {escape(inputs)}.</p>{table(('File', 'SHA-256'), rows, numeric=2)}</details>"
    )


def _table(values: dict[str, Any], name: str) -> dict[str, Any]:
    inner = values.get(name)
    return inner if isinstance(inner, dict) else {}
