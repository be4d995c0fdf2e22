"""The batch format, its resumption after SIGKILL, and what it refuses. Every verdict comes from a real sandbox."""

import io
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox import Sandbox
from sandbox.batch import read_job, read_lines, run_batch
from sandbox.batch_store import ResultFile
from sandbox.errors import SandboxError
from sandbox.job import Job, Result

ADD = "a, b = map(int, input().split())\nprint(a + b)\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as started:
        yield started


def judge_job(name: str, code: str = ADD, expected: str = "3") -> dict[str, Any]:
    tests = [{"stdin": "1 2\n", "expected": expected}]
    return {"id": name, "language": "python", "mode": "judge", "code": code, "tests": tests}


def to_lines(jobs: list[Any]) -> bytes:
    return b"".join((job if isinstance(job, bytes) else json.dumps(job).encode()) + b"\n" for job in jobs)


def run(sandbox: Sandbox, jobs: list[Any], out: Path, **options: Any) -> list[dict[str, Any]]:
    run_batch(io.BytesIO(to_lines(jobs)), out, sandbox, workers=2, **options)
    return read(out)


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_bytes().splitlines()]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "ringlite", "sandbox", "batch", *map(str, arguments)]


def test_all_modes_in_input_order_with_the_documented_fields(sandbox: Sandbox, tmp_path: Path) -> None:
    jobs = [
        {"id": "slow", "mode": "run", "code": "import time; time.sleep(0.4); print('late')"},
        judge_job("right"),
        judge_job("wrong", expected="4"),
        {
            "id": "call",
            "mode": "call",
            "code": "def f(x, y=0):\n    return (x, y)",
            "tests": {"entry_point": "f", "cases": [{"args": [1], "kwargs": {"y": 2}, "expected_py": "(1, 2)"}]},
        },
        {
            "id": "unit",
            "mode": "unit",
            "code": "def f(x):\n    return x + 1",
            "tests": {"framework": "asserts", "test_code": "from solution import f\nassert f(1) == 2"},
        },
    ]
    results = run(sandbox, jobs, tmp_path / "out.jsonl")
    assert [result["id"] for result in results] == ["slow", "right", "wrong", "call", "unit"]
    assert [result["verdict"] for result in results] == ["accepted", "accepted", "wrong_answer", "accepted", "accepted"]
    assert results[0]["stdout"] == "late\n"
    promised = {"id", "verdict", "cases", "cpu_s", "wall_s", "memory_mb", "exit_code", "signal"}
    promised |= {"stdout", "stderr", "message", "isolation"}
    for result in results:
        assert promised <= result.keys()
        assert result["isolation"].startswith("full (")
        Result.model_validate(result)
    assert {"verdict", "cpu_s", "wall_s", "memory_mb", "message"} <= results[2]["cases"][0].keys()


def test_malformed_lines_are_refused_with_the_reason_and_the_others_go_on(sandbox: Sandbox, tmp_path: Path) -> None:
    lines: list[Any] = [
        b"{not json",
        b"[1, 2]",
        b'{"id": "latin", "code": "\xe9"}',
        {"id": "no code"},
        {"id": 7, "code": "pass"},
        {**judge_job("typo"), "lnaguage": "python"},
        {"id": "no tests", "mode": "judge", "code": "pass"},
        {"id": "empty tests", "mode": "judge", "code": "pass", "tests": []},
        {"id": "limits", "code": "pass", "limits": {"time_s": -1}},
        b"[" * 100_000,
        judge_job("good"),
    ]
    results = run(sandbox, lines, tmp_path / "out.jsonl")
    assert [result["verdict"] for result in results] == ["refused"] * 10 + ["accepted"]
    assert all(f"line {number}: " in result["message"] for number, result in enumerate(results[:10], 1))
    assert [result["id"] for result in results[3:9]] == ["no code", "7", "typo", "no tests", "empty tests", "limits"]
    for number, word in ((3, "code"), (4, "id"), (5, "lnaguage"), (6, "tests"), (8, "limits.time_s")):
        assert word in results[number]["message"]


def test_duplicate_and_missing_ids_keep_their_place(sandbox: Sandbox, tmp_path: Path) -> None:
    jobs = [judge_job("same"), judge_job("same", expected="5"), {"code": "print(1)"}, judge_job("same")]
    results = run(sandbox, jobs, tmp_path / "out.jsonl")
    assert [(r["id"], r["verdict"]) for r in results] == [
        ("same", "accepted"),
        ("same", "wrong_answer"),
        ("", "accepted"),
        ("same", "accepted"),
    ]


def test_blank_lines_byte_order_mark_crlf_and_a_missing_last_newline(sandbox: Sandbox, tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + json.dumps(judge_job("a")).encode() + b"\r\n\r\n  \n" + json.dumps(judge_job("b")).encode()
    run_batch(io.BytesIO(data), tmp_path / "out.jsonl", sandbox, workers=1)
    assert [(r["id"], r["verdict"]) for r in read(tmp_path / "out.jsonl")] == [("a", "accepted"), ("b", "accepted")]


def test_control_characters_and_lone_surrogates_survive(sandbox: Sandbox, tmp_path: Path) -> None:
    echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    strange = "a\x00b\x85\u2028\x1bc\r\n"
    jobs = [
        {"id": "nul \x00 \ud800", "code": "pass"},
        {"id": "echo", "code": echo, "options": {"stdin": strange}},
        {"id": "surrogate in code", "code": "x = '\ud800'\nprint(len(x))"},
        {"id": "surrogate in stdin", "code": echo, "options": {"stdin": "\udce9"}},
        judge_job("after"),
    ]
    results = run(sandbox, jobs, tmp_path / "out.jsonl")
    assert [result["id"] for result in results] == [job["id"] for job in jobs]
    assert results[1]["stdout"] == strange
    assert results[4]["verdict"] == "accepted"
    assert all(len(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines())


def test_a_large_job_passes_and_a_line_above_the_limit_is_refused_without_being_held(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    big = "7 " * 4_000_000
    large = {"id": "large", "code": "print(len(input().split()))", "options": {"stdin": big}}
    assert run(sandbox, [large], tmp_path / "large.jsonl")[0]["stdout"] == "4000000\n"
    results = run(sandbox, [judge_job("a"), large, judge_job("b")], tmp_path / "out.jsonl", max_line_bytes=1 << 20)
    assert [result["verdict"] for result in results] == ["accepted", "refused", "accepted"]
    assert "bytes" in results[1]["message"]
    held = [line.data for line in read_lines(io.BytesIO(to_lines([large])), 1000)]
    assert held == [None]


@pytest.mark.parametrize("length", [99, 100, 101, 102])
def test_the_limit_on_a_line_counts_its_bytes_without_the_line_end(length: int) -> None:
    for end in (b"", b"\n", b"\r\n"):
        (line,) = read_lines(io.BytesIO(b"x" * length + end), 100)
        assert (line.data is not None) == (length <= 100)


def test_a_batch_that_is_run_again_judges_only_what_is_missing(sandbox: Sandbox, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    jobs = [judge_job(str(number)) for number in range(6)]
    run(sandbox, jobs[:3], out)
    first = out.read_bytes()
    summary = run_batch(io.BytesIO(to_lines(jobs)), out, sandbox, workers=2)
    assert out.read_bytes().startswith(first)
    assert (summary.jobs, summary.resumed, summary.verdicts["accepted"]) == (6, 3, 6)
    done = out.read_bytes()
    assert run_batch(io.BytesIO(to_lines(jobs)), out, sandbox, workers=2).resumed == 6
    assert out.read_bytes() == done


def test_a_torn_last_line_is_dropped_and_redone_wherever_it_was_torn(sandbox: Sandbox, tmp_path: Path) -> None:
    jobs = [judge_job("a"), judge_job("b")]
    out = tmp_path / "out.jsonl"
    run(sandbox, jobs, out)
    whole = out.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in (first, first + 1, first + 9, first + 60, len(whole) - 1):
        out.write_bytes(whole[:cut])
        summary = run_batch(io.BytesIO(to_lines(jobs)), out, sandbox, workers=1)
        assert summary.resumed == 1
        assert out.read_bytes()[:first] == whole[:first]
        assert [result["verdict"] for result in read(out)] == ["accepted", "accepted"]


@pytest.mark.parametrize("change", ["code", "order", "shorter"])
def test_results_of_another_input_are_refused_and_kept(sandbox: Sandbox, tmp_path: Path, change: str) -> None:
    jobs = [judge_job("a"), judge_job("b")]
    out = tmp_path / "out.jsonl"
    run(sandbox, jobs, out)
    before = out.read_bytes()
    other = {"code": [judge_job("a"), judge_job("b", "print(3)")], "order": jobs[::-1], "shorter": jobs[:1]}[change]
    with pytest.raises(SandboxError, match="another input"):
        run(sandbox, other, out)
    assert out.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b'{"id": "a", "code": "pass"}\n', b"{}\n{}\n", b"1\n"])
def test_a_file_that_holds_no_results_is_not_touched(sandbox: Sandbox, tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.txt"
    out.write_bytes(content)
    with pytest.raises(SandboxError, match="line 1 is not a result"):
        run(sandbox, [judge_job("a")], out)
    assert out.read_bytes() == content


def test_a_killed_batch_resumes_and_nothing_stored_is_judged_twice(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    code = "import time, os; time.sleep(0.05); print(os.urandom(8).hex())"  # a second run would print something else
    source.write_bytes(to_lines([{"id": str(number), "code": code} for number in range(60)]))
    stored = b""
    for kill_at in (5, 20):
        process = subprocess.Popen(command(source, out, "--workers", "2"), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not out.exists() or out.read_bytes().count(b"\n") < kill_at:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.send_signal(signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive
        whole = out.read_bytes()[: out.read_bytes().rfind(b"\n") + 1]
        assert whole.startswith(stored)
        assert whole.count(b"\n") < 60
        stored = whole
    done = subprocess.run(command(source, out, "--workers", "2", "--json"), capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    assert out.read_bytes().startswith(stored)
    assert summary["resumed"] == stored.count(b"\n") >= 20
    assert summary["verdicts"] == {"accepted": 60}
    assert [result["id"] for result in read(out)] == [str(number) for number in range(60)]


def test_two_batches_do_not_share_an_output(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(to_lines([{"code": "import time; time.sleep(20)", "limits": {"wall_s": 30}}]))
    first = subprocess.Popen(command(source, out), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not out.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second = subprocess.run(command(source, out), capture_output=True, text=True)
        assert second.returncode == 2
        assert "another batch" in second.stderr
    finally:
        first.kill()
        first.wait()


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(to_lines([judge_job("a")]))
    for arguments, words in (
        ((tmp_path / "missing.jsonl", tmp_path / "out.jsonl"), "missing.jsonl"),
        ((source, source), "same file"),
        ((source, tmp_path), "folder"),
        ((source, tmp_path / "none" / "out.jsonl"), "cannot open"),
    ):
        done = subprocess.run(command(*arguments), capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_pipe_as_input_and_a_quiet_error_stream(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = subprocess.run(command("-", out), input=to_lines([judge_job("a")]), capture_output=True, check=True)
    assert done.stderr == b""
    assert b"1 accepted" in done.stdout
    assert read(out)[0]["verdict"] == "accepted"


def test_a_disk_that_refuses_is_said_and_leaves_a_file_that_resumes(sandbox: Sandbox, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    jobs = [judge_job("a"), judge_job("b")]
    run(sandbox, jobs[:1], out)
    stored = out.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ResultFile(out) as file:
        assert [result.id for result in file.stored()] == ["a"]
        file.start_appending()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(stored) + 50, hard))
        try:
            with pytest.raises(SandboxError, match="cannot write"):
                file.append(Result(id="b", verdict="accepted"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(out.read_bytes()) == len(stored) + 50
    assert [result["verdict"] for result in run(sandbox, jobs, out)] == ["accepted", "accepted"]
    assert out.read_bytes().startswith(stored)


def test_an_output_that_is_no_regular_file_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="regular file"):
        run(sandbox, [judge_job("a")], Path("/dev/full"))


def test_every_well_formed_line_becomes_the_job_it_describes() -> None:
    (line,) = read_lines(io.BytesIO(to_lines([judge_job("a")])))
    job = read_job(line)
    assert isinstance(job, Job)
    assert job == Job.model_validate(judge_job("a"))
