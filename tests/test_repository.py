"""What must hold for the repository as a whole."""

import configparser
import gzip
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tracked_text() -> Iterator[tuple[Path, str]]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            yield path, path.read_bytes().decode("utf-8", "replace")


def squeeze(text: str) -> str:
    return re.sub(r"\W+", "", text).lower()


def benchmark_texts(folder: Path) -> Iterator[str]:
    for path in [*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.gz")]:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                for key in ("problem", "question", "question_content", "prompt", "content", "text"):
                    text = squeeze(row[key]) if isinstance(row.get(key), str) else ""
                    if len(text) >= 80:
                        # from the middle: the ends of a prompt may be its template, which a card states
                        yield text[len(text) // 2 - 40 : len(text) // 2 + 40]


def test_no_row_of_a_benchmark_is_committed() -> None:
    data = os.environ.get("RINGLITE_DATA")
    if not data:
        pytest.skip("RINGLITE_DATA is not set: no benchmark data to look for")
    haystack = "\n".join(squeeze(text) for _, text in tracked_text())
    assert len(haystack) > 10_000
    assert [text for text in benchmark_texts(Path(data)) if text in haystack] == []


def test_every_requirement_of_the_package_is_pinned() -> None:
    import tomllib

    pins = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tested = [
        *project["dependencies"],
        *(r for name, rs in extras.items() if name not in {"vllm", "deepspeed", "ray"} for r in rs),
    ]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", r)[0]).lower() for r in tested} - {"ringlite"}
    assert names - pins == set()


def pytest_calls() -> Iterator[tuple[str, list[str]]]:
    """Each environment of tox.ini that calls pytest, with the words of the call."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    for section in tox.sections():
        commands = tox[section].get("commands", "").replace("\\\n", " ")
        commands = commands.replace("{[tests]examples}", tox["tests"]["examples"])
        for line in commands.splitlines():
            words = shlex.split(line)
            if words[:1] == ["pytest"]:
                yield section.removeprefix("testenv:"), words


def test_every_test_file_belongs_to_exactly_one_environment_of_tox() -> None:
    """Files are shared out; within all of them `properties` takes what hypothesis or another implementation drives."""
    calls = dict(pytest_calls())
    assert calls.pop("properties")[-1] == "tests"
    homes: dict[str, list[str]] = {}
    for name, words in calls.items():
        assert words[words.index("-m") + 1] == "not hypothesis and not differential", name
        ignored = [words[i + 1] for i, word in enumerate(words) if word == "--ignore"]
        covered = [word for i, word in enumerate(words) if word.startswith("tests") and words[i - 1] != "--ignore"]
        for path in (ROOT / "tests").rglob("test_*.py"):
            file = path.relative_to(ROOT).as_posix()
            inside = any(file == place or file.startswith(f"{place}/") for place in covered)
            if inside and not any(file.startswith(f"{place}/") for place in ignored):
                homes.setdefault(file, []).append(name)
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(files) > 100
    assert {file: homes.get(file, []) for file in files if len(homes.get(file, [])) != 1} == {}


def test_every_environment_of_tox_says_what_it_verifies_and_against_what() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    names = [name.strip() for name in tox["tox"]["env_list"].replace("\n", ",").split(",") if name.strip()]
    every = [section.removeprefix("testenv:") for section in tox.sections() if section.startswith("testenv:")]
    assert sorted(names) == sorted(name for name in every if not name.startswith("gate-"))
    for name in every:
        section = tox[f"testenv:{name}"]
        assert len(section["description"]) > 10, name
        assert len(section["against"]) > 3, name


def test_the_readme_and_others_name_environments_that_there_are() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    named = {
        (path.name, name)
        for path, text in tracked_text()
        if path.suffix == ".md"
        for names in re.findall(r"\btox -e ([\w,-]+)", text)
        for name in names.split(",")
    }
    assert named
    assert [(file, name) for file, name in sorted(named) if not tox.has_section(f"testenv:{name}")] == []
