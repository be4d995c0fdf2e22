"""Rows from every layout that SOURCES-like folders and hub copies have."""

import json
from pathlib import Path

import pytest

from harness.card import load_card
from harness.errors import DataUnavailable, UsageError
from harness.loaders.row import Row
from harness.problems import LoadOptions, content_hash, load, load_problems

COUNTS = {
    "aime24": 30,
    "aime25": 30,
    "math500": 500,
    "humaneval": 164,
    "humaneval_plus": 164,
    "mbpp_plus": 378,
    "olympiadbench": 675,
    "minerva_math": 272,
    "livecodebench": 279,
}
OFFLINE = LoadOptions(hub="never")


def aime_rows(pad: int = 0) -> list[dict[str, object]]:
    return [
        {
            "problem": f"Find $\\frac{{{n}}}{{1}}$.",
            "answer": str(n).zfill(pad),
            "url": f"x/2024_AIME_{c}_Problems/Problem_{p}",
        }
        for n, (c, p) in enumerate([(c, p) for c in ("I", "II") for p in range(1, 16)])
    ]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.data
@pytest.mark.parametrize("name", COUNTS)
def test_real_rows_are_what_the_card_says(data: Path, name: str) -> None:
    loaded = load(load_card(name), data, OFFLINE)
    assert len(loaded.problems) == COUNTS[name] == load_card(name).num_problems
    assert loaded.content_hash == loaded.expected_hash == load_card(name).content_hash
    assert len({problem.id for problem in loaded.problems}) == COUNTS[name]
    assert all(problem.prompt.strip() for problem in loaded.problems)


@pytest.mark.data
def test_gpqa_comes_out_of_the_encrypted_archive(data: Path, password: str, tmp_path: Path) -> None:
    card = load_card("gpqa_diamond")
    before = sorted(p for p in data.rglob("*"))
    loaded = load(card, data, LoadOptions(gpqa_password=password, hub="never"))
    assert loaded.content_hash == card.content_hash
    assert sorted(p for p in data.rglob("*")) == before
    letters = [problem.gold for problem in loaded.problems]
    assert {letter: letters.count(letter) > 30 for letter in "ABCD"} == dict.fromkeys("ABCD", True)
    assert password not in repr(LoadOptions(gpqa_password=password))
    assert password not in json.dumps(loaded.manifest())
    assert loaded.selection["options_seed"] == card.options_seed
    plain = loaded.problems[0].prompt
    variant = load_problems(card, data, LoadOptions(gpqa_password=password, prompt="answer_line"))[0]
    assert variant.prompt != plain
    assert variant.prompt.rstrip()[-10:] in plain


@pytest.mark.data
def test_a_wrong_gpqa_password_is_one_sentence(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGLITE_GPQA_PASSWORD", raising=False)
    card = load_card("gpqa_diamond")
    with pytest.raises(DataUnavailable, match="is encrypted: give its password"):
        load(card, data, OFFLINE)
    # One wrong password in 256 passes the header check of the cipher and fails later; all must end the same way.
    for number in range(600):
        with pytest.raises(UsageError, match="password does not open"):
            load(card, data, LoadOptions(gpqa_password=f"wrong-{number}", hub="never"))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "other"),
    [("aime24", "aime2024/aime2024_nemo.jsonl"), ("aime25", "aime2025/aime2025_evalchemy.jsonl")],
)
def test_another_copy_has_the_same_ids_and_golds(data: Path, name: str, other: str) -> None:
    card = load_card(name)
    main, copy = load(card, data, OFFLINE), load(card, data / other, OFFLINE)
    assert {p.id: p.gold for p in copy.problems} == {p.id: p.gold for p in main.problems}
    assert [p.id for p in copy.problems] == [p.id for p in main.problems]
    assert copy.content_hash == copy.expected_hash != main.content_hash


@pytest.mark.data
def test_livecodebench_releases_and_windows(data: Path) -> None:
    card = load_card("livecodebench")
    window = load(card, data, OFFLINE)
    assert window.source.notes["tests"] == "public_only"
    months = [problem.metadata["month"] for problem in window.problems]
    assert [months.count(m) for m in ("2024-08", "2024-09", "2024-10", "2024-11", "2024-12", "2025-01")] == [
        66,
        47,
        53,
        57,
        49,
        7,
    ]
    levels = [problem.metadata["difficulty"] for problem in window.problems]
    assert [levels.count(level) for level in ("easy", "medium", "hard")] == [67, 89, 123]
    functions = [p for p in window.problems if p.gold["function"]]
    assert len(functions) == 104
    assert all(p.gold["starter_code"].strip() in p.prompt for p in functions)
    whole = load(card, data, LoadOptions(window=("", ""), hub="never"))
    assert len(whole.problems) == 880
    assert whole.expected_hash is None
    august = load(card, data, LoadOptions(window=("2024-08-01", "2024-08-31"), hub="never"))
    assert len(august.problems) == 66
    with pytest.raises(UsageError, match="unknown release 'release_v55'; did you mean 'release_v5'"):
        load(card, data, LoadOptions(release="release_v55"))
    with pytest.raises(DataUnavailable):
        load(card, data, LoadOptions(release="release_v6", hub="never"))


@pytest.mark.data
def test_a_cut_copy_says_how_many_are_missing(data: Path, tmp_path: Path) -> None:
    lines = (data / "math500/math500.jsonl").read_text().splitlines(keepends=True)
    cut = tmp_path / "math500.jsonl"
    cut.write_text("".join(lines[:-3]))
    with pytest.raises(UsageError, match=r"497 problems instead of 500 \(3 missing\)"):
        load(load_card("math500"), cut)
    cut.write_text("".join(lines)[:-40])
    with pytest.raises(UsageError, match=r"math500.jsonl, line 500: not valid JSON .* cut short"):
        load(load_card("math500"), cut)
    cut.write_text("".join([*lines[:-1], lines[0]]))
    with pytest.raises(UsageError, match="occurs more than once"):
        load(load_card("math500"), cut)


def test_zero_padding_degree_signs_and_column_names_make_no_difference(tmp_path: Path) -> None:
    card = load_card("aime24")
    plain = load(card, write(tmp_path / "a.jsonl", aime_rows()))
    padded = load(card, write(tmp_path / "b.jsonl", aime_rows(pad=3)))
    renamed = [
        {
            "Problem": row["problem"],
            "Answer": row["answer"],
            "ID": str(row["url"])[2:].replace("_AIME_", "-").replace("_Problems/Problem_", "-"),
        }
        for row in aime_rows()
    ]
    other = load(card, write(tmp_path / "c.jsonl", renamed[::-1]))
    signs = [{**row, "answer": f"{row['answer']}^\\circ"} for row in aime_rows()]
    marked = load(card, write(tmp_path / "d.jsonl", signs))
    assert plain.content_hash == padded.content_hash == other.content_hash == marked.content_hash
    assert [p.gold for p in other.problems] == [str(n) for n in range(30)]
    assert other.problems[16].id == "II-2"


@pytest.mark.parametrize("answer", ["-1", "1000", "3.5", "x", "", "\\frac{1}{2}", "１２"])
def test_an_answer_that_no_aime_has_is_refused(tmp_path: Path, answer: str) -> None:
    rows = aime_rows()
    rows[4]["answer"] = answer
    with pytest.raises(UsageError, match="aime24, I-5: the answer"):
        load(load_card("aime24"), write(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize(
    "text",
    [
        "$\x0crac{1}{2}$",
        "the \triangle ABC".replace("\\t", "\t"),
        "\x08egin{align}",
        "a \triangle".replace("\t", "\t"),
        "\x00",
        "\right)",
    ],
)
def test_eaten_latex_escapes_are_refused(tmp_path: Path, text: str) -> None:
    rows = aime_rows()
    rows[20]["problem"] = f"Let {text} be given."
    with pytest.raises(UsageError, match=r"aime24, II-6: the problem's text holds the control character .* damaged"):
        load(load_card("aime24"), write(tmp_path / "a.jsonl", rows))


def test_tabs_in_code_and_prose_are_no_damage(tmp_path: Path) -> None:
    rows = aime_rows()
    rows[0]["problem"] = "f(x)\n{\n\treturn 2;\n}\tequal\tperimeters"
    assert len(load_problems(load_card("aime24"), write(tmp_path / "a.jsonl", rows))) == 30


def test_a_foreign_schema_names_the_columns(tmp_path: Path) -> None:
    rows = [{"q": row["problem"], "answer": row["answer"]} for row in aime_rows()]
    with pytest.raises(
        UsageError, match="none of the columns problem, Problem, question for 'question'; it has q, answer"
    ):
        load(load_card("aime24"), write(tmp_path / "a.jsonl", rows))


def test_missing_data_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGLITE_DATA", raising=False)
    with pytest.raises(DataUnavailable, match=r"no data for benchmark 'math500'.*--data DIR or RINGLITE_DATA"):
        load(load_card("math500"), tmp_path, OFFLINE)
    with pytest.raises(UsageError, match="does not exist"):
        load(load_card("math500"), tmp_path / "nowhere", OFFLINE)


def test_humaneval_comes_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGLITE_DATA", raising=False)
    loaded = load(load_card("humaneval"), None, OFFLINE)
    assert loaded.source.kind == "package"
    assert loaded.content_hash == load_card("humaneval").content_hash
    assert all(p.prefix == p.gold["prompt"] and p.prefix.rstrip() in p.prompt for p in loaded.problems)


def test_the_hash_is_of_content_and_not_of_order_or_line_ends() -> None:
    rows = [Row("a", "x\ny", "1", "1"), Row("b", "z", "2", "2")]
    same = [Row("b", "z ", "2", "2"), Row("a", "x\r\ny", "1", "1")]
    assert content_hash(rows) == content_hash(same)
    assert content_hash(rows) != content_hash([Row("a", "x\ny", "1", "1"), Row("b", "z", "3", "3")])
    assert content_hash(rows) != content_hash(rows[:1])
