"""Packages of an environment that lies below a directory which every container has as scratch."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
from sandbox import Sandbox
with Sandbox(workers=1) as box:
    result = box.run("import os, sortedcontainers as s; print(s.__file__); print(os.listdir('/tmp'))")
print(result.verdict, result.stdout, result.stderr)
"""


def test_packages_below_tmp_can_be_imported(tmp_path: Path) -> None:
    distribution = importlib.metadata.distribution("sortedcontainers")
    for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] != ".."}:
        shutil.copytree(str(distribution.locate_file(top)), tmp_path / top)
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
    )
    verdict, place, listing, *_ = done.stdout.split("\n")[0].split(" ") + done.stdout.split("\n")[1:2]
    assert verdict == "accepted", done.stdout + done.stderr
    assert place.endswith(f"{tmp_path}/sortedcontainers/__init__.py")
    assert listing == "[]", "the environment must not appear among the job's own files"
