"""``ringlite grade`` as a user runs it."""

import json
from pathlib import Path

import pytest

from harness.agreement import agreement
from harness.card import load_card
from harness.problems import LoadOptions, load_problems
from harness.types import Grade

GOLDEN = {"easy": 91.04, "medium": 67.42, "hard": 19.51}


def eval_all(data: Path) -> Path:
    return data / "livecodebench/eval_all_o1-mini-2024-09-12_n1.jsonl"


def points(parts: list[dict[str, object]]) -> dict[object, float]:
    return {part["value"]: round(100 * float(str(part["score"])), 2) for part in parts}


@pytest.mark.data
def test_official_verdicts_give_the_golden_figures(ringlite, data: Path) -> None:  # type: ignore[no-untyped-def]
    done = ringlite("grade", eval_all(data), "--benchmark", "livecodebench", "--official", "--data", data)
    assert done.returncode == 0, done.stderr
    assert "LiveCodeBench, scorer official: 602/880 = 68.41" in done.stdout
    assert "contests 2024-08-01 to 2025-01-31, scorer official: 145/279 = 51.97" in done.stdout
    for figure in (94.98, 73.41, 34.81, *GOLDEN.values()):
        assert f"{figure:.2f}" in done.stdout


@pytest.mark.data
def test_the_file_alone_is_enough_for_official_figures(ringlite, data: Path) -> None:  # type: ignore[no-untyped-def]
    done = ringlite("grade", eval_all(data), "--benchmark", "livecodebench", "--official", "--json")
    assert done.returncode == 0, done.stderr
    whole, window = json.loads(done.stdout)["grade"]["livecodebench"]["selections"]
    assert (whole["samples"], round(100 * whole["score"], 2)) == (880, 68.41)
    assert (window["samples"], round(100 * window["score"], 2)) == (279, 51.97)
    assert points(window["parts"]["difficulty"]) == GOLDEN
    months = {part["value"]: part["problems"] for part in window["parts"]["month"]}
    assert months == {"2024-08": 66, "2024-09": 47, "2024-10": 53, "2024-11": 57, "2024-12": 49, "2025-01": 7}


@pytest.mark.data
def test_the_window_alone(ringlite, data: Path) -> None:  # type: ignore[no-untyped-def]
    options = ("--benchmark", "livecodebench", "--official", "--data", data, "--json")
    paper = json.loads(ringlite("grade", eval_all(data), *options, "--window", "paper").stdout)
    (row,) = paper["benchmarks"]
    assert (row["problems"], round(100 * row["score"], 2)) == (279, 51.97)
    august = json.loads(ringlite("grade", eval_all(data), *options, "--window", "2024-08:2024-08").stdout)
    assert (august["benchmarks"][0]["problems"], august["benchmarks"][0]["score"]) == (66, 0.5)


def humaneval(path: Path, count: int) -> Path:
    problems = load_problems(load_card("humaneval"), None, LoadOptions(hub="never"))[:count]
    with path.open("w") as file:
        for number, problem in enumerate(problems):
            completion = problem.gold["canonical_solution"] if number % 2 == 0 else "    return None\n"
            for _ in range(2):
                file.write(json.dumps({"task_id": problem.id, "completion": completion}) + "\n")
    return path


def test_human_eval_samples_are_run_scored_and_resumed(ringlite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = humaneval(tmp_path / "model-x.jsonl", 8)
    done = ringlite("grade", path, "--benchmark", "humaneval", "--json", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["benchmarks"]
    assert (row["problems"], row["samples"], row["score"], row["total_problems"]) == (8, 16, 0.5, 164)
    assert json.loads((tmp_path / "run/manifest.json").read_text())["model"]["name"] == "model-x"
    assert (tmp_path / "run/report.html").exists()
    before = (tmp_path / "run/grades.jsonl").read_bytes()
    again = ringlite("grade", path, "--benchmark", "humaneval", "--json", "--out", tmp_path / "run")
    assert json.loads(again.stdout)["benchmarks"] == json.loads(done.stdout)["benchmarks"]
    assert (tmp_path / "run/grades.jsonl").read_bytes() == before


@pytest.mark.data
def test_mathematics_and_our_own_run_folder(ringlite, tmp_path: Path, data: Path) -> None:  # type: ignore[no-untyped-def]
    problems = load_problems(load_card("aime24"), data, LoadOptions(hub="never"))
    rows = [
        {"problem_id": p.id, "response": f"So \\boxed{{{int(p.gold) + (n % 3 == 0)}}}."} for n, p in enumerate(problems)
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--benchmark", "aime24", "--data", data, "--json")
    first = json.loads(ringlite("grade", path, *options, "--out", tmp_path / "run").stdout)
    assert first["benchmarks"][0]["score"] == pytest.approx(20 / 30)
    again = json.loads(ringlite("grade", tmp_path / "run", *options, "--out", tmp_path / "run2").stdout)
    assert again["benchmarks"][0]["score"] == pytest.approx(20 / 30)


@pytest.mark.parametrize(
    ("content", "options", "wanted"),
    [
        ('{"a": 1}\n', (), "line 1: generations of no known format"),
        ('{"task_id": "HumanEval/0", "completion": "x"}\n{"task', (), "line 2: not valid JSON"),
        ('{"task_id": "HumanEval/999", "completion": "x"}\n', (), "problem 'HumanEval/999' is not among the 164"),
        ('{"task_id": "HumanEval/0", "completion": "x"}\n', ("--official",), "does not carry an official verdict"),
        (
            '{"task_id": "HumanEval/0", "completion": "x"}\n',
            ("--scorer", "cod"),
            "unknown scorer 'cod'; did you mean 'code'",
        ),
        (
            '{"task_id": "HumanEval/0", "completion": "x"}\n',
            ("--temperature", "0.5"),
            "give both --temperature and --top-p",
        ),
        ('{"task_id": "HumanEval/0", "completion": "x"}\n', ("--format", "evalpls"), "did you mean 'evalplus'"),
        ("", (), "is empty"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(
    ringlite,
    tmp_path: Path,
    content: str,
    options: tuple[str, ...],
    wanted: str,  # type: ignore[no-untyped-def]
) -> None:
    path = tmp_path / "g.jsonl"
    path.write_text(content)
    done = ringlite("grade", path, "--benchmark", "humaneval", *options)
    assert done.returncode == 2
    assert wanted in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr


def test_missing_files_and_benchmarks_are_named(ringlite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert (
        "nothing.jsonl cannot be read: No such file"
        in ringlite("grade", "nothing.jsonl", "--benchmark", "humaneval").stderr
    )
    wrong = ringlite("grade", "nothing.jsonl", "--benchmark", "humanevl")
    assert wrong.stderr == "error: unknown benchmark 'humanevl'; did you mean 'humaneval'?\n"
    missing = ringlite("grade", "nothing.jsonl", "--benchmark", "math500")
    assert missing.returncode == 2
    assert "no data for benchmark 'math500'" in missing.stderr


def test_answers_and_files_share_the_verb(ringlite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "in.jsonl").write_text(
        json.dumps({"id": "a", "kind": "aime", "gold": "7", "response": "\\boxed{7}"}) + "\n"
    )
    done = ringlite("grade", "answers", tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.jsonl").read_text())["correct"] is True
    assert "--benchmark" in ringlite("grade", "--help").stdout
    assert "IN.jsonl" in ringlite("grade", "answers", "--help").stdout


def grade(problem: str, scorer: str, correct: bool, **evidence: object) -> Grade:
    return Grade("t", "livecodebench", problem, 0, scorer, correct, "ok", evidence=evidence)


def test_agreement_lists_each_difference_with_what_is_known() -> None:
    grades = [
        grade("p1", "code", True), grade("p1", "official", True),
        grade("p2", "code", False, verdict="time_limit", failing_test=1), grade("p2", "official", True),
        grade("p3", "code", True, private_tests=False), grade("p3", "official", False, error_message="Wrong Answer"),
        grade("arc189_a", "code", True), grade("arc189_a", "official", False, error_message="Wrong Answer"),
        grade("p5", "code", True),
    ]  # fmt: skip
    found = agreement(load_card("livecodebench"), grades, "t")
    assert (found.both, found.agreeing) == (4, 1)
    assert [(d.problem_id, d.reason) for d in found.rejected_here_only] == [("p2", "time_limit here on test 1")]
    reasons = {d.problem_id: d.reason for d in found.accepted_here_only}
    assert "only the public tests were run" in reasons["p3"]
    assert reasons["arc189_a"].startswith("known erratum: a test of the published list is wrong")
