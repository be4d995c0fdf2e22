"""Copies of hub repositories read with datasets' own loader, LiveCodeBench's encodings, files of every kind."""

import base64
import csv
import functools
import gzip
import json
import os
import pickle
import shutil
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.card import Card, load_card
from harness.errors import DataUnavailable, UsageError
from harness.loaders.gpqa import shuffled
from harness.loaders.livecodebench import decode_tests, function_name, in_window, parse_window
from harness.loaders.lock import write_lock
from harness.loaders.read import read_rows
from harness.loaders.rows import last_box
from harness.problems import LoadOptions, load

OFFLINE = LoadOptions(hub="never")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def repository(folder: Path, config: str, split: str, rows: list[dict[str, object]]) -> None:
    """A copy of a hub repository as the hub has them: a README that declares the configuration, Parquet files."""
    import datasets

    (folder / config).mkdir(parents=True)
    datasets.Dataset.from_list(rows).to_parquet(folder / config / f"{split}-00000-of-00001.parquet")
    with (folder / "README.md").open("a") as readme:
        readme.write(
            "---\nconfigs:\n- config_name: "
            + config
            + "\n  data_files:\n  - split: "
            + split
            + "\n    path: "
            + config
            + "/*\n---\n"
        )


@pytest.mark.data
def test_a_copy_of_the_hub_repository_gives_the_same_rows(data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (data / "math500/math500.jsonl").read_text().splitlines()]
    repository(tmp_path / "HuggingFaceH4/MATH-500", "default", "test", rows)
    loaded = load(load_card("math500"), tmp_path, OFFLINE)
    assert loaded.source.where.endswith("HuggingFaceH4/MATH-500")
    assert loaded.content_hash == load_card("math500").content_hash


@pytest.mark.data
def test_olympiadbench_from_its_hub_configuration(data: Path, tmp_path: Path) -> None:
    rows = [
        {**json.loads(line), "image_1": None, "language": "English"}
        for line in (data / "olympiadbench/olympiadbench_oe_to_maths_en.jsonl").read_text().splitlines()
    ]
    repository(tmp_path / "Hothan/OlympiadBench", "OE_TO_maths_en_COMP", "train", rows)
    loaded = load(load_card("olympiadbench"), tmp_path, OFFLINE)
    assert loaded.content_hash == load_card("olympiadbench").content_hash


def test_several_configurations_are_joined_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "opencompass/AIME2025"
    for contest in ("I", "II"):
        rows = [{"question": f"{contest} {n}", "answer": str(n)} for n in range(1, 16)]
        (folder / f"AIME2025-{contest}").mkdir(parents=True)
        (folder / f"AIME2025-{contest}" / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "README.md").write_text(
        "---\nconfigs:\n"
        + "".join(
            f"- config_name: AIME2025-{c}\n  data_files:\n  - split: test\n    path: AIME2025-{c}/test.jsonl\n"
            for c in ("I", "II")
        )
        + "---\n"
    )
    loaded = load(load_card("aime25"), tmp_path, OFFLINE)
    assert [p.id for p in loaded.problems][14:17] == ["I-15", "II-1", "II-2"]
    assert loaded.problems[15].prompt.startswith("II 1\n")
    assert loaded.expected_hash != loaded.content_hash


def test_livemath_clusters_the_languages(tmp_path: Path) -> None:
    card = load_card("livemathbench")
    folder = tmp_path / "opencompass/LiveMathBench"
    sizes = {"CNMO": 18, "CCEE": 44, "AMC": 46, "WLPMC": 11}
    declared = ""
    for config in card.hub[0].configs:
        size = sizes[config.split("_")[1]]
        (folder / config).mkdir(parents=True)
        rows = [{"question": f"{config} {n}", "answer": str(n), "question_type": "fill"} for n in range(size)]
        (folder / config / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        declared += f"- config_name: {config}\n  data_files:\n  - split: test\n    path: {config}/test.jsonl\n"
    (folder / "README.md").write_text(f"---\nconfigs:\n{declared}---\n")
    problems = load(card, tmp_path, OFFLINE).problems
    assert len(problems) == 238
    clusters = [p.metadata["cluster"] for p in problems]
    assert len(set(clusters)) == 119
    assert len(load(load_card("cnmo24"), tmp_path, OFFLINE).problems) == 18


def test_a_folder_without_the_split_is_named(tmp_path: Path) -> None:
    repository(
        tmp_path / "HuggingFaceH4/MATH-500", "default", "train", [{"problem": "x", "answer": "1", "unique_id": "a"}]
    )
    with pytest.raises(UsageError, match="does not hold configuration default, split test of HuggingFaceH4/MATH-500"):
        load(load_card("math500"), tmp_path, OFFLINE)


def raw_release(folder: Path, sizes: list[int]) -> None:
    """Raw files of LiveCodeBench's hub repository with made problems, private tests encoded as there."""
    folder.mkdir(parents=True)
    number = 0
    for index, size in enumerate(sizes, 1):
        name = "test.jsonl" if index == 1 else f"test{index}.jsonl"
        with (folder / name).open("w") as file:
            for _ in range(size):
                number += 1
                functional = number % 3 == 0
                tests = [{"input": "1", "output": "1", "testtype": "functional" if functional else "stdin"}]
                packed = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests * 2)))).decode()
                row = {
                    "question_title": f"t{number}", "question_content": f"question {number}", "platform": "atcoder",
                    "question_id": f"p{number}", "contest_id": "c",
                    "contest_date": f"2024-{1 + number % 12:02d}-10T00:00:00",
                    "starter_code": "class Solution:\n    def go(self, x):\n        pass" if functional else "",
                    "difficulty": "easy", "public_test_cases": json.dumps(tests), "private_test_cases": packed,
                    "metadata": json.dumps({"func_name": "go"} if functional else {}),
                }  # fmt: skip
                file.write(json.dumps(row) + "\n")


def test_raw_release_files_are_read_together_with_their_private_tests(tmp_path: Path) -> None:
    raw_release(tmp_path / "livecodebench", [400, 111])
    options = LoadOptions(release="release_v2", window=("2024-08-01", "2024-08-31"), hub="never")
    loaded = load(load_card("livecodebench"), tmp_path, options)
    assert {p.metadata["month"] for p in loaded.problems} == {"2024-08"}
    assert loaded.source.notes["tests"] == "all"
    assert {p.gold["function"] for p in loaded.problems} <= {None, "go"}
    assert len(decode_tests(loaded.problems[0].gold["private_tests"])) == 2


def test_a_cut_release_is_noticed(tmp_path: Path) -> None:
    raw_release(tmp_path / "livecodebench", [400, 110])
    with pytest.raises(UsageError, match="holds 510 problems, but this release has 511"):
        load(load_card("livecodebench"), tmp_path, LoadOptions(release="release_v2", hub="never"))


@pytest.mark.data
def test_the_real_encoded_row_decodes(data: Path) -> None:
    row = json.loads((data / "livecodebench/upstream_schema_row_1873_A.jsonl").read_text())
    tests = decode_tests(row["private_test_cases"])
    full = [json.loads(line) for line in (data / "livecodebench/full_tests_3_problems.jsonl").read_text().splitlines()]
    known = next(r["decoded_test"] for r in full if r["question_id"] == "1873_A")
    assert [t["input"] for t in decode_tests(row["public_test_cases"]) + tests] == known["inputs"]


class _Attack:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_with_a_global_is_refused_and_does_nothing(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "made"
    packed = base64.b64encode(zlib.compress(pickle.dumps(_Attack(str(marker)), protocol))).decode()
    with pytest.raises(UsageError, match="damaged or refused"):
        decode_tests(packed, "p1, private_tests")
    assert not marker.exists()


@given(st.binary(max_size=300))
def test_rubbish_never_escapes_as_another_error(payload: bytes) -> None:
    for text in (base64.b64encode(payload).decode(), base64.b64encode(zlib.compress(payload)).decode()):
        try:
            decode_tests(text)
        except UsageError:
            continue


def test_function_names() -> None:
    starter = "class Solution:\n    def maxSum(self, nums: List[int]) -> int:\n        "
    assert function_name(None, starter) == "maxSum"
    assert function_name('{"func_name": "other"}', starter) == "other"
    assert function_name("{}", "") is None


@pytest.mark.parametrize(
    "text", ["2024-08-01", "x:y", "2025-01-31:2024-08-01", "2024-13:2025-01", ":", "2024-02-30:2024-03-01"]
)
def test_bad_windows_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="window"):
        parse_window(text)


def test_windows_include_both_days() -> None:
    window = parse_window("2024-08:2025-02")
    assert window == ("2024-08-01", "2025-02-28")
    assert in_window("2024-08-01T00:00:00", window)
    assert in_window("2025-02-28T23:59:59", window)
    assert not in_window("2025-03-01T00:00:00", window)


@given(st.integers(), st.text(max_size=20))
def test_shuffled_options_keep_the_right_one_under_its_letter(seed: int, record: str) -> None:
    placed, letter = shuffled(["right", "b", "c", "d"], seed, record)
    assert placed["ABCD".index(letter)] == "right"
    assert sorted(placed) == ["b", "c", "d", "right"]
    assert shuffled(["right", "b", "c", "d"], seed, record) == (placed, letter)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"so \boxed{3}", "3"),
        (r"\boxed{1} or \boxed{\frac{a}{b}}", r"\frac{a}{b}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed {x}", "x"),
        (r"\boxed{open", None),
        ("none", None),
    ],
)
def test_last_box(text: str, box: str | None) -> None:
    assert last_box(text) == box


def test_all_kinds_of_file_give_the_same_rows(tmp_path: Path) -> None:
    import datasets

    rows = [{"a": "1", "b": 'x,\n"y"'}, {"a": "2", "b": "\u00e9"}]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "r.json").write_text(json.dumps(rows))
    with gzip.open(tmp_path / "r.jsonl.gz", "wt") as file:
        file.write((tmp_path / "r.jsonl").read_text())
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "r.parquet")
    with (tmp_path / "r.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, ["a", "b"])
        writer.writeheader()
        writer.writerows(rows)
    for name in ("r.jsonl", "r.json", "r.jsonl.gz", "r.parquet", "r.csv"):
        assert list(read_rows(tmp_path / name)) == rows


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.jsonl", b'{"a": 1}\n[1]\n', "line 2: a JSON object was expected"),
        ("a.jsonl", b'{"a": 1}\n{"a"', "line 2: not valid JSON"),
        ("a.json", b'[{"a": 1}, 2]', "element 2: a JSON object"),
        ("a.jsonl", b"\xff\xfe", "not UTF-8"),
        ("a.parquet", b"PAR1", "not a readable Parquet"),
        ("a.jsonl.gz", b"\x1f\x8b\x08\x00", "cannot be read"),
        ("a.txt", b"x", "of no known kind"),
    ],
)
def test_damaged_files_are_named_with_the_place(tmp_path: Path, name: str, content: bytes, wanted: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=wanted) as caught:
        list(read_rows(path))
    assert str(path) in str(caught.value)


def test_the_card_decides_the_column(tmp_path: Path) -> None:
    card = load_card("minerva_math")
    rows = [{"problem": f"p{n}", "solution": f"so \\boxed{{{n}}}", "idx": n} for n in range(272)]
    (tmp_path / "minerva_math.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    first = load(card, tmp_path, OFFLINE)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    hub = [{"question": f"p{n}", "answer": str(n)} for n in range(272)]
    (tmp_path / "minerva_math.jsonl").write_text("".join(json.dumps(r) + "\n" for r in hub))
    assert load(card, tmp_path, OFFLINE).content_hash == first.content_hash
    assert isinstance(card, Card)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub_cache(root: Path, dataset: str, commit: str, files: dict[str, str]) -> None:
    """The hub library's cache as a download at ``commit`` leaves it."""
    repository_folder = root / f"datasets--{dataset.replace('/', '--')}"
    for name, text in files.items():
        path = repository_folder / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (repository_folder / "refs").mkdir(exist_ok=True)
    (repository_folder / "refs" / "main").write_text(commit)


@pytest.fixture
def cached_math500(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub

    monkeypatch.delenv("RINGLITE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    # The default of a parameter, fixed when the library was loaded.
    download = functools.partial(huggingface_hub.snapshot_download, cache_dir=tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    rows = [
        {"problem": f"p{n}", "answer": str(n), "unique_id": f"u{n}", "subject": "s", "level": 1} for n in range(500)
    ]
    files = {"test.jsonl": "".join(json.dumps(row) + "\n" for row in rows), "README.md": "# MATH-500\n"}
    for commit in (COMMIT[::-1], COMMIT):
        hub_cache(tmp_path / "hub", "HuggingFaceH4/MATH-500", commit, files)
    return tmp_path


def test_the_commit_that_was_read_is_recorded(cached_math500: Path) -> None:
    loaded = load(load_card("math500"), None, LoadOptions(hub="cached"))
    assert (loaded.source.kind, loaded.source.where) == ("hub", "HuggingFaceH4/MATH-500")
    assert loaded.source.revision == COMMIT
    assert loaded.manifest()["source"]["revision"] == COMMIT
    assert loaded.content_hash != loaded.expected_hash


def test_the_lock_file_decides_the_commit(cached_math500: Path) -> None:
    entries = {"math500": {"source": {"where": "HuggingFaceH4/MATH-500", "revision": COMMIT[::-1]}}}
    write_lock(cached_math500 / "ringlite-data.lock.json", entries)
    assert load(load_card("math500"), None, LoadOptions(hub="cached")).source.revision == COMMIT[::-1]
    asked = LoadOptions(hub="cached", revision=COMMIT)
    assert load(load_card("math500"), None, asked).source.revision == COMMIT


def test_what_the_cache_lacks_is_unavailable(cached_math500: Path) -> None:
    with pytest.raises(
        DataUnavailable, match="hub cannot be reached for HuggingFaceH4/aime_2024, and it is not in the local"
    ):
        load(load_card("aime24"), None, LoadOptions(hub="cached"))
    with pytest.raises(DataUnavailable):
        load(load_card("math500"), None, LoadOptions(hub="cached", revision="f" * 40))
