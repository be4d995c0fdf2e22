"""What a run writes beside every step: metrics.jsonl, timings.jsonl and, by flag, TensorBoard.

The two files are apart because the first is a function of the seed alone: two runs of the same seed, or one that was
interrupted, have the same bytes in it. Times never are the same.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError

SCHEMA_VERSION = 1


class MetricsLog:
    """Appends one row a step to the files of ``folder``.

    Args:
        folder: Made where missing.
        tensorboard: Also write event files under ``folder/tensorboard``.
        step: The last step that counts; rows after it (of a run that was killed) and a torn last line are dropped.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False, step: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        self.metrics, self.timings = folder / "metrics.jsonl", folder / "timings.jsonl"
        for path in (self.metrics, self.timings):
            _keep_rows(path, step)
        self._board = _summary_writer(folder / "tensorboard", step) if tensorboard else None

    def append(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, float]) -> None:
        """Writes the row of one step; it is on disk when this returns. A figure that is not finite becomes null."""
        for path, values in ((self.metrics, metrics), (self.timings, timings)):
            row = {"schema_version": SCHEMA_VERSION, "step": step, **{k: _finite(v) for k, v in values.items()}}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        if self._board is not None:
            for name, value in {**metrics, **timings}.items():
                if isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, step)
            self._board.flush()

    def close(self) -> None:
        """Closes the event file."""
        if self._board is not None:
            self._board.close()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The complete rows of a JSONL file; a torn last line is left out, a missing file has none.

    Raises:
        UsageError: A line before the last is not JSON.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is empty or torn
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise UsageError(f"{path}, line {number} is not JSON: restore the file or move it away") from None
    return rows


def _keep_rows(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [row for row in read_rows(path) if row["step"] <= step]
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in kept)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _summary_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("TensorBoard files need the package tensorboard: pip install 'ringlite[train]'") from None
    return SummaryWriter(str(folder), purge_step=step + 1)
