"""Published numbers as data, and table files of users."""

from pathlib import Path

import pytest
import yaml

from harness.card import card_names, load_card
from harness.errors import UsageError
from harness.published import find_target, paper_files, target_names
from harness.published_table import claimed_samples, decimals, load_tables


def test_every_file_that_comes_along_is_sound() -> None:
    for path in paper_files():
        file = load_tables(path)
        assert file.citation
        for table in file.tables.values():
            for column in table.columns:
                described = file.column(column)
                assert described.title, f"{path.name}: column {column} is not described"
                assert described.benchmark is None or described.benchmark in card_names()


def test_the_paper_and_the_cards_agree() -> None:
    for name, published in find_target("ring-lite").scores.items():
        card = load_card(name)
        assert card.paper_key is not None
        assert published.problems in (None, card.num_problems)
        assert published.samples in (None, card.protocol.n)
        for field in ("temperature", "top_p", "max_tokens"):
            assert published.protocol[field] == getattr(card.protocol, field)


def test_targets_by_name() -> None:
    ours = find_target("ring-lite").scores
    assert ours["aime24"].text == "76.61"
    assert ours["aime24"].place.endswith("Table 1, row Ring-lite, column AIME 2024")
    assert "codeforces" not in ours
    assert find_target("Qwen3-8B-Thinking").scores["livecodebench"].text == "58.06"
    assert find_target("ring-lite-2507:Qwen3-8B-Thinking").scores["livecodebench"].text == "55.12"
    assert find_target("ring-lite-0704").scores["aime24"].protocol == {}
    assert {"ring-lite", "ring-lite-2507", "ring-lite-distill-preview/final"} <= set(target_names())
    with pytest.raises(UsageError, match="did you mean 'ring-lite'"):
        find_target("ring-light")


def test_quoted_figures_carry_no_protocol_and_no_m() -> None:
    quoted = find_target("qwen3-8b-thinking").scores["aime24"]
    assert (quoted.quoted, quoted.samples, dict(quoted.protocol)) == (True, None, {})
    assert quoted.half_unit == pytest.approx(0.05)  # printed 76.00, padded with a zero
    assert find_target("qwen3-8b-thinking").scores["livecodebench"].half_unit == pytest.approx(0.005)


USER = """
title: Mine
protocol: {temperature: 0.6, chat_template: ab12}
columns: {aime24: {benchmark: aime24, problems: 30, samples: 16, samples_source: stated}}
tables:
  main:
    columns: [aime24]
    rows: {My model: [70.10]}
"""


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(USER)
    mine = find_target(str(path)).scores["aime24"]
    assert (mine.text, mine.samples, mine.samples_source, mine.protocol["temperature"]) == ("70.10", 16, "stated", 0.6)
    assert mine.half_unit == pytest.approx(0.005)
    assert find_target(f"{path}:my-model").scores["aime24"] == mine
    with pytest.raises(UsageError, match="no row 'other'"):
        find_target(f"{path}:other")
    with pytest.raises(UsageError, match="cannot be read"):
        find_target(str(tmp_path / "none.yaml"))


def test_figures_keep_their_decimals(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("t: {columns: [a, b, c], rows: {x: [52.10, 97, '-'], y: [\"1.5%\", 0.0, null]}}")
    table = load_tables(path).tables["t"]
    assert table.rows["x"].values == ("52.10", "97", None)
    assert table.rows["y"].values == ("1.5", "0.0", None)
    assert [decimals(text) for text in ("52.10", "97", "0.0")] == [2, 0, 1]
    assert (claimed_samples("aime24@32"), claimed_samples("aime24")) == (32, None)


def test_markdown_and_csv(tmp_path: Path) -> None:
    markdown = tmp_path / "t.md"
    markdown.write_text(
        "Scores:\n\n| model | aime24@32 | avg |\n|---|---:|:-:|\n| **A** | **52.10** | 3 |\n| B | 7.0* | - |\n"
    )
    table = load_tables(markdown).tables["t"]
    assert table.columns == ("aime24@32", "avg")
    assert table.rows["A"].bold == ("aime24@32",)
    assert table.rows["B"].quoted == ("aime24@32",)
    assert table.rows["B"].values == ("7.0", None)
    sheet = tmp_path / "t.csv"
    sheet.write_text("model,aime24,avg\nA,52.10,3\n")
    assert load_tables(sheet).tables["t"].rows["A"].values == ("52.10", "3")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.yaml", "tables: {t: {columns: [a], rows: {x: [1, 2]}}}", "row 'x' has 2 values for 1 columns"),
        ("t.yaml", "tables: {t: {columns: [a], rows: {x: [many]}}}", "'many' is not a plain decimal figure"),
        ("t.yaml", "tables: {t: {columns: [a], rows: {x: [1]}, colour: red}}", "unknown key"),
        ("t.yaml", "tables: {t: {columns: [a, a], rows: {x: [1, 2]}}}", "occurs twice"),
        ("t.yaml", "tables: {t: {columns: [a], rows: {x: {values: [1], bold: [b]}}}}", "no column 'b'"),
        ("t.yaml", "tables: {}", "holds no rows"),
        ("t.yaml", "[1, 2]", "must be a mapping"),
        ("t.yaml", "a: {b: [", "is not valid YAML"),
        ("t.yaml", "schema_version: 9\ntables: {t: {columns: [a], rows: {x: [1]}}}", "schema_version"),
        ("t.csv", "model,a\nx\n", "row 2 has 1 cells"),
        ("t.csv", "model,a\nx,1\nx,2\n", "two rows named 'x'"),
        ("t.md", "nothing here", "needs a heading line"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_tables(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xff\xfe\x00tables")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_tables(path)


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    marker = tmp_path / "ran"
    path.write_text(f"tables: !!python/object/apply:os.system ['touch {marker}']")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_tables(path)
    assert not marker.exists()


def test_plain_yaml_readers_can_read_the_files() -> None:
    for path in paper_files():
        assert yaml.safe_load(path.read_text())["tables"]
