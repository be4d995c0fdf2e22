"""The ``ringlite`` command as a newcomer meets it."""

import subprocess
import sys

import pytest

import ringlite


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ringlite", *args], capture_output=True, text=True, timeout=120)


def test_help_lists_every_verb_and_imports_no_floor() -> None:
    probe = (
        "import sys, ringlite\n"
        "try:\n    ringlite.app(['--help'])\nexcept SystemExit:\n    pass\n"
        "floors = {'harness', 'sandbox', 'reference_trainer', 'torch'}\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in floors))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120)
    assert done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr
    assert all(verb in done.stdout for verb in ringlite.COMMANDS)


@pytest.mark.parametrize("verb", ringlite.COMMANDS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize("verb", ringlite.COMMANDS)
def test_help_of_a_verb_does_not_import_torch(verb: str) -> None:
    probe = (
        f"import sys, ringlite\ntry:\n    ringlite.app([{verb!r}, '--help'])\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', [m for m in ('torch', 'transformers', 'vllm', 'ray', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120)
    assert "HEAVY []" in done.stdout, done.stdout[-300:] + done.stderr


def test_unknown_verb_is_a_usage_error() -> None:
    done = run("scoer")
    assert done.returncode == 2
    assert "scoer" in done.stderr


def test_version_is_that_of_the_installed_package() -> None:
    import importlib.metadata

    assert run("--version").stdout.split() == ["ringlite", importlib.metadata.version("ringlite")]
