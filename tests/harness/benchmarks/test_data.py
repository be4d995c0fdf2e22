"""``ringlite data``: lock, check, fetch."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.card import load_card
from harness.data_fetch import fetch
from harness.data_lock import check
from harness.errors import UsageError
from harness.loaders.lock import locked_revision, read_lock, write_lock
from harness.problems import LoadOptions

OFFLINE = LoadOptions(hub="never")


def aime(path: Path, change: int | None = None) -> Path:
    rows = [{"problem": f"p{n}", "answer": "7" if n == change else str(n), "id": f"2024-{c}-{p}"} for n, (c, p) in
            enumerate([(c, p) for c in ("I", "II") for p in range(1, 16)])]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_lock_then_check_then_a_changed_row(ringlite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    aime(tmp_path / "aime24.jsonl")
    locked = ringlite("data", "lock", "aime24", "humaneval", "--data", tmp_path)
    assert locked.returncode == 0, locked.stderr
    entries = read_lock(tmp_path / "ringlite-data.lock.json")
    assert entries["aime24"]["rows"] == 30
    assert entries["humaneval"]["content_hash"] == load_card("humaneval").content_hash
    assert str(tmp_path) not in (tmp_path / "ringlite-data.lock.json").read_text()
    assert ringlite("data", "check", "aime24", "humaneval", "--data", tmp_path).returncode == 0
    aime(tmp_path / "aime24.jsonl", change=12)
    red = ringlite("data", "check", "--data", tmp_path)
    assert red.returncode == 1
    assert "aime24: changed:" in red.stdout
    assert "content hash" in red.stdout
    assert "humaneval: ok" in red.stdout
    assert red.stderr == "error: data of aime24 is missing or not what was expected\n"


def test_damage_is_named_also_without_a_lock(ringlite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = aime(tmp_path / "aime24.jsonl")
    path.write_text(path.read_text().replace('"p3"', '"a \\fract b"'))
    done = ringlite("data", "check", "--json", "--data", tmp_path)
    assert done.returncode == 1
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["aime24"]["status"] == "damaged"
    assert "I-4" in rows["aime24"]["detail"]
    assert rows["math500"]["status"] == "unavailable"


def test_a_locked_benchmark_whose_data_is_gone_is_red(ringlite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    aime(tmp_path / "aime24.jsonl")
    ringlite("data", "lock", "aime24", "--data", tmp_path)
    (tmp_path / "aime24.jsonl").unlink()
    done = ringlite("data", "check", "--data", tmp_path)
    assert done.returncode == 1
    assert "aime24: unavailable: no data for benchmark 'aime24'" in done.stdout


def test_locking_a_named_benchmark_without_data_fails(ringlite) -> None:  # type: ignore[no-untyped-def]
    done = ringlite("data", "lock", "math500")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no data for benchmark 'math500'")


@pytest.mark.data
def test_real_data_is_what_the_cards_say(data: Path, password: str) -> None:
    options = LoadOptions(gpqa_password=password, hub="never")
    for name in (
        "aime24",
        "aime25",
        "math500",
        "gpqa_diamond",
        "humaneval_plus",
        "mbpp_plus",
        "olympiadbench",
        "minerva_math",
    ):
        assert check(name, data, options, None).status == "ok"


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 99, "benchmarks": {}}'])
def test_a_damaged_lock_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "l.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=str(path)):
        read_lock(path)


def test_the_locked_commit_is_for_its_own_data_set_only(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    write_lock(path, {"math500": {"source": {"where": "HuggingFaceH4/MATH-500", "revision": "a" * 40}}})
    assert locked_revision("math500", "HuggingFaceH4/MATH-500", path) == "a" * 40
    assert locked_revision("math500", "other/copy", path) is None
    assert locked_revision("aime24", "HuggingFaceH4/MATH-500", path) is None
    assert locked_revision("math500", "x", tmp_path / "none") is None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    root = tmp_path / "www"
    root.mkdir()
    (root / "file.gz").write_bytes(b"content")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
            super().__init__(*args, directory=str(root), **kwargs)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def card_with(url: str, sha256: str | None):  # type: ignore[no-untyped-def]
    card = load_card("mbpp_plus")
    assert card.download is not None
    return card.model_copy(update={"download": card.download.model_copy(update={"url": url, "sha256": sha256})})


def test_fetch_writes_the_file_where_the_loader_looks(server: str, tmp_path: Path) -> None:
    card = card_with(f"{server}/file.gz", hashlib.sha256(b"content").hexdigest())
    source = fetch(card, tmp_path / "data")
    assert Path(source.where).read_bytes() == b"content"
    assert Path(source.where).relative_to(tmp_path / "data").as_posix() in [layout.path for layout in card.local]


def test_fetch_refuses_other_bytes_and_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it was changed or damaged"):
        fetch(card_with(f"{server}/file.gz", "0" * 64), tmp_path / "data")
    with pytest.raises(UsageError, match="cannot be fetched"):
        fetch(card_with(f"{server}/none", None), tmp_path / "data")
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_fetch_needs_a_folder(server: str) -> None:
    with pytest.raises(UsageError, match="name it with --data DIR"):
        fetch(card_with(f"{server}/file.gz", None), None)


def test_every_published_file_lands_where_its_card_looks() -> None:
    for name in ("humaneval_plus", "mbpp_plus", "gpqa_diamond"):
        card = load_card(name)
        assert card.download is not None
        assert card.download.path in [layout.path for layout in card.local]
