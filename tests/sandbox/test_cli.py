"""The verbs of ``ringlite sandbox``, run as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.cli_cases import load_cases
from sandbox.errors import SandboxError

ADD = "a, b = map(int, input().split())\nprint(a + b)\n"


def ringlite(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ringlite", "sandbox", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)


@pytest.fixture
def add(tmp_path: Path) -> Path:
    file = tmp_path / "add.py"
    file.write_text(ADD)
    return file


def test_run_passes_the_output_on_and_ends_with_the_verdict(add: Path) -> None:
    done = ringlite("run", add, "--stdin", "2 3\n")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert done.stderr.startswith("accepted: CPU ")
    assert "isolation full" in done.stderr


def test_run_reads_its_input_from_a_file_or_from_its_own(add: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("20 3\n")
    assert ringlite("run", add, "--stdin-file", tmp_path / "in.txt").stdout == "23\n"
    assert ringlite("run", add, "--stdin-file", "-", stdin="4 4\n").stdout == "8\n"


def test_run_gives_arguments_and_language(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("import sys; print(sys.argv[1:])")
    assert ringlite("run", file).returncode == 2
    assert ringlite("run", file, "--language", "python", "a", "b c").stdout == "['a', 'b c']\n"


def test_run_says_why_a_program_failed(tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    for code, verdict in (
        ("raise SystemExit(3)", "runtime_error"),
        ("while True: pass", "time_limit"),
        ("x = bytearray(10**9)", "memory_limit"),
        ("while True: print('x' * 1000)", "output_limit"),
    ):
        file.write_text(code)
        done = ringlite("run", file, "--time", "0.5", "--memory", "100", "--output", "64", "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["verdict"] == verdict


def test_judge_accepts_and_rejects(add: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    for number, expected in ((1, "3"), (2, "7"), (10, "11")):
        (folder / f"{number}.in").write_text(f"{expected} 0\n")
        (folder / f"{number}.out").write_text(f"{expected}\n")
    done = ringlite("judge", add, "--tests", folder)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["1.in", "2.in", "10.in", "accepted:"]
    (folder / "2.out").write_text("8\n")
    report = json.loads(ringlite("judge", add, "--tests", folder, "--json").stdout)
    assert report["verdict"] == "wrong_answer"
    assert [case["verdict"] for case in report["cases"]] == ["accepted", "wrong_answer", "accepted"]
    assert report["names"] == ["1.in", "2.in", "10.in"]


def test_judge_with_tolerance_and_with_a_checker_program(tmp_path: Path) -> None:
    program, tests = tmp_path / "p.py", tmp_path / "t.jsonl"
    program.write_text("print(0.3333333)")
    tests.write_text(json.dumps({"stdin": "", "expected": "0.33333334"}) + "\n")
    assert ringlite("judge", program, "--tests", tests).returncode == 1
    assert ringlite("judge", program, "--tests", tests, "--checker", "float", "--abs", "1e-5").returncode == 0
    checker = tmp_path / "check.py"
    checker.write_text("import sys\nsys.exit(not open(sys.argv[3]).read().startswith('0.33'))\n")
    assert ringlite("judge", program, "--tests", tests, "--checker-program", checker).returncode == 0
    program.write_text("print(0.4)")
    assert ringlite("judge", program, "--tests", tests, "--checker-program", checker).returncode == 1


@pytest.mark.parametrize(
    "files",
    [
        ("1.in", "1.out"),
        ("1.in", "1.ans"),
        ("data/secret/1.in", "data/secret/1.ans"),
        ("01", "01.a"),
        ("input01.txt", "output01.txt"),
        ("input.txt", "output.txt"),
        ("input/1.txt", "output/1.txt"),
        ("in/a.in", "out/a.out"),
        ("input/input00.txt", "output/output00.txt"),
        ("a.in.txt", "a.out.txt"),
    ],
)
def test_known_folder_layouts(tmp_path: Path, files: tuple[str, str]) -> None:
    for name, text in zip(files, ("question", "answer"), strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "README.md").write_text("not a test")
    ((_, case),) = load_cases(tmp_path)
    assert (case.stdin, case.expected) == ("question", "answer")


@pytest.mark.parametrize(
    "text",
    [
        '{"stdin": "q", "expected": "a"}\n\n{"input": "q", "output": "a"}',
        '[{"stdin": "q", "expected": "a"}, {"input": "q", "output": "a", "testtype": "stdin"}]',
    ],
)
def test_cases_from_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    assert [(case.stdin, case.expected) for _, case in load_cases(tmp_path / "t.json")] == [("q", "a"), ("q", "a")]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.jsonl", "", "no test case"),
        ("t.jsonl", "{}", "line 1"),
        ("t.jsonl", '{"stdin": "q", "expected": "a"}\n{', "line 2"),
        ("t.jsonl", '{"expected": "a", "checker": {"type": "magic"}}', "checker"),
        ("folder/1.in", "q", "1.in has no answer"),
    ],
)
def test_bad_tests_are_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(SandboxError, match=words):
        load_cases(tmp_path / name.split("/")[0])


def test_usage_errors_are_one_sentence_and_exit_code_2(add: Path, tmp_path: Path) -> None:
    for arguments in (
        ("run", tmp_path / "missing.py"),
        ("judge", add, "--tests", tmp_path / "none"),
        ("run", add, "--isolation", "perfect"),
        ("run", add, "--time", "0"),
    ):
        done = ringlite(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


def test_doctor_reports_for_people_and_machines() -> None:
    done = ringlite("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode in (0, 1)
    assert isinstance(report, dict)
    assert report
    assert ringlite("doctor").stdout.strip()


def test_the_command_group_loads_nothing_heavy() -> None:
    code = "import sys, sandbox.cli; print(sorted({'pydantic', 'rich', 'starlette', 'uvicorn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
