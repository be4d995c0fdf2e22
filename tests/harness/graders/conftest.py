import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.graders.math import MathGrader


@pytest.fixture(scope="session")
def strict() -> Iterator[MathGrader]:
    with MathGrader("strict", workers=2) as grader:
        yield grader


@pytest.fixture(scope="session")
def data() -> Path:
    folder = os.environ.get("RINGLITE_DATA")
    if not folder:
        pytest.skip("RINGLITE_DATA names no folder with benchmark rows")
    return Path(folder)
