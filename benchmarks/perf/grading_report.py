"""Table and JSON of the grading benchmark."""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.graders.math import versions


def emit(results: dict[str, Any], delay: dict[str, float], rows: list[list[str]], out: Path | None) -> None:
    """Prints ``rows`` and writes the figures with versions, commit and machine to ``out``."""
    table = Table(
        "answers per second, two processes", "Math-Verify", "ringlite", "ratio", "asked", title="Grading mathematics"
    )
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    if out is None:
        return
    commit = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
    record = {
        "schema_version": 1,
        "benchmark": "grading",
        "commit": commit.stdout.strip(),
        "versions": {**versions(), "python": platform.python_version()},
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "answers_per_second": results,
        "hanging": delay,
    }
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {out}")
