"""write_report without a browser: its bytes, what it refuses, and what it survives."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.errors import UsageError
from reference_trainer.cli import app
from reference_trainer.report import write_report


def test_the_same_files_give_the_same_bytes(finished: Path, copy) -> None:
    first = write_report(finished).read_bytes()
    assert write_report(finished).read_bytes() == first
    assert write_report(copy("elsewhere")).read_bytes() == first


def test_nothing_else_in_the_folder_changes(copy) -> None:
    folder = copy()
    (folder / "report.html").unlink(missing_ok=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    page = write_report(folder)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path != page}
    assert after == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no run of `ringlite train`: it has no recipe\.yaml"):
        write_report(tmp_path)


def test_a_run_that_has_only_begun(copy) -> None:
    folder = copy()
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    assert "0 of 9 stages are done" in write_report(folder).read_text()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("base/metrics.jsonl", b'{"step": 1}\nno json\n{"step": 3}\n', "metrics.jsonl cannot be read"),
        ("base/timings.jsonl", b"\xff\xfe\n", "timings.jsonl cannot be read"),
        ("base/manifest.json", b'{"stage": "ba', "manifest.json cannot be read"),
        ("curate/report.json", b"[]", "report.json holds no JSON object"),
        ("select/selection.json", b'{"rule":', "selection.json cannot be read"),
        ("distill/gate.json", b"{", "gate&#x27;s record does not count"),
    ],
)
def test_a_damaged_file_is_named_and_the_rest_is_shown(copy, name: str, content: bytes, told: str) -> None:
    folder = copy()
    (folder / name).write_bytes(content)
    page = write_report(folder).read_text()
    assert told in page
    assert 'id="stage-general"' in page


@pytest.mark.parametrize(
    "rows",
    [
        [{"step": 1, "reward": None, "expert_load": None}, {"step": 2}],
        [{"step": 1, "reward": "high", "expert_load": [[1, 2], [1]]}, {"step": 2, "expert_load": []}],
        [{"step": 1, "reward": True, "expert_load": [["a"]]}, 7, [], {"reward": 1.0}],
        [{"step": 1, "reward": 1e308, "entropy": -1e308, "kl": 5e-324}, {"step": 2, "reward": -1e308, "entropy": 0}],
    ],
)
def test_rows_of_another_form_are_gaps(copy, rows: list[object]) -> None:
    folder = copy()
    (folder / "c3po-math" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(folder).read_text()
    assert 'id="stage-c3po-math"' in page
    assert not re.search(r"\b(nan|inf)\b", page.split("<main>")[1])


def test_from_the_command_line(copy, tmp_path: Path) -> None:
    folder = copy()
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert (done.exit_code, done.output) == (0, f"training report: {folder / 'report.html'}\n")
    wrong = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(wrong.exception, UsageError)
    assert wrong.exception.exit_code == 2
