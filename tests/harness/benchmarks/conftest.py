"""Real benchmark rows for the tests: a folder laid out as the cards say, named by RINGLITE_DATA."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def data() -> Path:
    folder = os.environ.get("RINGLITE_DATA")
    if not folder:
        pytest.skip("real benchmark rows: RINGLITE_DATA is not set")
    return Path(folder)


@pytest.fixture
def password() -> str:
    found = os.environ.get("RINGLITE_GPQA_PASSWORD")
    if not found:
        pytest.skip("GPQA: RINGLITE_GPQA_PASSWORD is not set")
    return found


@pytest.fixture
def ringlite(tmp_path: Path) -> Run:
    """Runs the command as a user does, in an empty folder and without data of its own."""

    def run(*args: object, **env: str) -> "subprocess.CompletedProcess[str]":
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGLITE_")}
        kept |= {"HF_HUB_OFFLINE": "1", "COLUMNS": "200", **env}
        command = [sys.executable, "-m", "ringlite", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, env=kept, cwd=tmp_path, timeout=300)

    return run
