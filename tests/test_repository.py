"""What must hold for the repository as a whole."""

import gzip
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tracked_text() -> Iterator[tuple[Path, str]]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            yield path, path.read_bytes().decode("utf-8", "replace")


def squeeze(text: str) -> str:
    return re.sub(r"\W+", "", text).lower()


def benchmark_texts(folder: Path) -> Iterator[str]:
    for path in [*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.gz")]:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                for key in ("problem", "question", "question_content", "prompt", "content", "text"):
                    text = squeeze(row[key]) if isinstance(row.get(key), str) else ""
                    if len(text) >= 80:
                        # from the middle: the ends of a prompt may be its template, which a card states
                        yield text[len(text) // 2 - 40 : len(text) // 2 + 40]


def test_no_row_of_a_benchmark_is_committed() -> None:
    data = os.environ.get("RINGLITE_DATA")
    if not data:
        pytest.skip("RINGLITE_DATA is not set: no benchmark data to look for")
    haystack = "\n".join(squeeze(text) for _, text in tracked_text())
    assert len(haystack) > 10_000
    assert [text for text in benchmark_texts(Path(data)) if text in haystack] == []


def test_every_requirement_of_the_package_is_pinned() -> None:
    import tomllib

    pins = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tested = [
        *project["dependencies"],
        *(r for name, rs in extras.items() if name not in {"vllm", "deepspeed", "ray"} for r in rs),
    ]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", r)[0]).lower() for r in tested} - {"ringlite"}
    assert names - pins == set()
