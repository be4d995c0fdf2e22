"""report.html: one self-contained page a run.

The page reaches nothing outside its folder: the content security policy allows the page's own scripts (by their
hashes), the chunk files that these load, and nothing else; no markup in a model's answer can run.
"""

import base64
import hashlib
import importlib.resources
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from harness.report.benchmark import benchmark_section
from harness.report.chunks import ChunkWriter, safe_json
from harness.report.index import Texts, write_texts
from harness.report.markup import badge
from harness.report.sections import forest_plot, verdict_table
from harness.report.wording import number
from harness.scoring_results import Results

REPORT, FILES = "report.html", "report_files"
_VIEWER_SCRIPTS = ("mathematics.js", "text.js", "viewer.js")


def render_html(results: Results) -> Path:
    """Writes report.html (and report_files/ where the texts are too many for one page) and returns its path.

    The texts pass through as a stream; memory grows with the number of samples only by the numbers of the index.
    """
    writer = ChunkWriter(results.folder / FILES)
    texts = write_texts(results.folder, results.rows, writer)
    writer.close()
    writer.discard_old()
    path = results.folder / REPORT
    scratch = path.with_name(f".{REPORT}.{os.getpid()}")
    scratch.write_text(_page(results, texts, writer), encoding="utf-8")
    scratch.replace(path)
    return path


def _page(results: Results, texts: Sequence[Texts], writer: ChunkWriter) -> str:
    data = {"folder": FILES, "files": writer.files, "benchmarks": [text.index for text in texts]}
    sections = [
        f'<section class="card">{_summary(results)}{_facts(results)}</section>',
        f'<section class="card"><h2>Verdicts</h2>{verdict_table(results)}</section>',
        f'<section class="card"><h2>Ours against published</h2><div class="plot">{forest_plot(results)}</div>'
        "</section>",
        *(benchmark_section(i, row, text) for i, (row, text) in enumerate(zip(results.rows, texts, strict=True))),
        asset("viewer.html"),
        asset("method.html"),
    ]
    head = heading("ringlite report", results.model, f"against {results.target.title}")
    blocks = [_block(f'data-chunk="{name}"', text) for name, text in writer.inline.items()]
    blocks.append(_block('id="ringlite-data"', safe_json(data)))
    body = f"{head}<main>{''.join(sections)}</main>"
    made = f"{results.folder.name} by ringlite {results.manifest.get('ringlite', '')}"
    return document(f"{results.model} · ringlite", body, made, "".join(blocks), _VIEWER_SCRIPTS)


def _block(attribute: str, text: str) -> str:
    return f'<script type="application/json" {attribute}>{text}</script>'


def _summary(results: Results) -> str:
    if not any(row.verdict for row in results.rows):
        return '<p class="quiet">No published number to compare with.</p>'
    line = escape(results.summary.line)
    return f'<div class="summary">{badge(results.summary.outcome, big=True)}<p>{line}</p></div>'


def heading(eyebrow: str, title: str, under: str) -> str:
    """The top of a page."""
    return (
        f'<header><div><p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(title)}</h1>'
        f'<p class="quiet">{escape(under)}</p></div>'
        '<button type="button" id="theme" aria-label="Light or dark">◐<span> theme</span></button></header>'
    )


def document(title: str, body: str, made: str, blocks: str = "", scripts: Sequence[str] = (), styles: str = "") -> str:
    """A whole page: head with its policy, body, data blocks, scripts.

    Args:
        title: Of the window.
        body: Markup.
        made: What the page was made of, and by what.
        blocks: Script elements that hold data.
        scripts: Assets that run, after the theme's.
        styles: Rules of the page's own, after those of all pages.
    """
    code = [asset(name) for name in ("theme.js", *scripts)]
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in code)
    policy = (
        f"default-src 'none'; script-src {hashes} 'strict-dynamic'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{asset('report.css')}{styles}</style></head><body>{body}"
        f"<footer>Made of {escape(made)}.</footer>{blocks}"
        + "".join(f"<script>{text}</script>" for text in code)
        + "</body></html>\n"
    )


def asset(name: str) -> str:
    """The text of a style sheet or script of the report."""
    return (importlib.resources.files("harness.report") / "assets" / name).read_text(encoding="utf-8")


def _facts(results: Results) -> str:
    manifest = results.manifest
    engine = manifest.get("engine", {})
    tokens = sum(row.score.tokens.total for row in results.rows)
    facts = [
        ("engine", " ".join(str(engine[name]) for name in ("name", "version", "dtype") if engine.get(name))),
        ("seed", manifest.get("seed")),
        ("samples", number(sum(row.score.samples for row in results.rows))),
        ("tokens generated", f"{tokens:,}" if tokens else ""),
        ("started", str(manifest.get("created", "")).replace("T", " ").removesuffix("+00:00")),
        ("accepted exceptions", ", ".join(results.accept)),
    ]
    cells = "".join(
        f"<span>{name} <b>{escape(str(value))}</b></span>" for name, value in facts if value not in ("", None)
    )
    return f'<div class="facts-line">{cells}</div>'
