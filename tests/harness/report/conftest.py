"""Run folders as ``ringlite score`` leaves them, written through the real store, over problems made up here."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.card import Card, load_card
from harness.loaders.row import Source
from harness.problems import Loaded
from harness.protocol import Task, new_manifest
from harness.scoring_problems import write_problems
from harness.store import RunStore
from harness.types import Grade, Problem, Sample

MakeRun = Callable[..., Path]


def problems_of(card: Card, count: int) -> list[Problem]:
    contests = ("I", "II")
    return [
        Problem(f"p{i}", f"What is ${i} + 1$? <b>bold</b>", str(i + 1), {"contest": contests[i % 2], "level": i % 3})
        for i in range(count)
    ]


def write_run(
    folder: Path,
    *,
    benchmark: str = "aime24",
    n: int = 4,
    seed: int = 1,
    solve: Callable[[int], float] = lambda i: 0.3 + 0.6 * (i % 5) / 4,
    respond: Callable[[int, int, str], str] | None = None,
    truncated: Callable[[int, int], bool] = lambda i, k: False,
    count: int | None = None,
    limit: int | None = None,
    content_hash: str | None = None,
    model: dict[str, Any] | None = None,
    engine: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    strict: bool = True,
    tokens: Callable[[int, int], int | None] = lambda i, k: 100 + i + k,
) -> Path:
    """Writes a finished run. ``solve``: problem -> chance to be right; ``respond``: problem, sample, answer -> text."""
    card = load_card(benchmark)
    rng = random.Random(seed)
    loaded = Loaded(
        problems=problems_of(card, count or card.num_problems),
        source=Source("local", "tests"),
        content_hash=content_hash or card.content_hash or "sha256:none",
        expected_hash=card.content_hash,
        selection={"release": card.release, "window": card.window, "options_seed": card.options_seed},
    )
    task = Task(card, loaded, replace(card.protocol.sampling, **(params or {})), n, limit=limit)
    manifest = new_manifest(
        {"name": "tests/model", "chat_template_hash": "aa00", **(model or {})},
        {"name": "transformers", "version": "5.17.0", "dtype": "bfloat16", **(engine or {})},
        seed,
    )
    scorers = {"math-verify": {"math-verify": "0.9.0"}, **({"strict": {}} if strict else {})}
    manifest["tasks"][task.hash] = task.entry(scorers)
    manifest["sessions"].append({"started": "2026-01-01T00:00:00+00:00"})
    with RunStore(folder) as store:
        store.write_manifest(manifest)
        write_problems(folder, task.hash, card, task.problems)
        for i, problem in enumerate(task.problems):
            for k in range(n):
                cut = truncated(i, k)
                right = not cut and rng.random() < solve(i)
                answer = str(problem.gold) if right else "999"
                text = (
                    respond(i, k, answer) if respond else f"Reasoning {rng.random()} ... " * 12 + f"\\boxed{{{answer}}}"
                )
                finish = "length" if cut else "stop"
                store.add_sample(Sample(task.hash, card.name, problem.id, k, k, text, finish, 20, tokens(i, k)))
                status = "truncated" if cut else "ok"
                found = None if cut else answer
                store.add_grade(Grade(task.hash, card.name, problem.id, k, "math-verify", right, status, found))
                if strict:
                    agrees = right and (i + k) % 7 != 0
                    evidence = {"reason": "not in the form that was asked for"} if right and not agrees else {}
                    store.add_grade(
                        Grade(task.hash, card.name, problem.id, k, "strict", agrees, status, found, evidence)
                    )
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a run folder below the test's own folder: ``make_run("name", n=8, ...)``."""

    def make(name: str = "run", **options: Any) -> Path:
        return write_run(tmp_path / name, **options)

    return make
