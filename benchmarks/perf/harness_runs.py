"""The runs of the benchmark: whole runs and sampling alone, each in fresh processes, in turns."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.perf import harness_lm_eval
from benchmarks.perf.harness_meter import Measured, measure
from benchmarks.perf.harness_rows import BENCHMARK, questions, write_rows
from benchmarks.perf.harness_sampling import CLIENTS, Job
from benchmarks.perf.harness_server import Question, TableServer

CONCURRENCY = 64
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Bench:
    """A server with its table, and a folder for the runs.

    Attributes:
        server: The server.
        asked: Its problems.
        folder: Scratch.
        data: Data folder of ours with the problems.
    """

    server: TableServer
    asked: list[Question]
    folder: Path
    data: Path

    def place(self, run: str) -> Path:
        """A fresh folder for a run."""
        path = self.folder / run
        path.mkdir()
        return path


@contextmanager
def bench(data: Path | None, samples: int, characters: int, delay: float = 0.0) -> Iterator[Bench]:
    """Starts a server that has ``samples`` answers to each problem."""
    asked = questions(data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = write_rows(asked, folder / "data")
        with TableServer(asked, samples, folder, characters, delay) as server:
            yield Bench(server, asked, folder, rows)


def environment(folder: Path) -> dict[str, str]:
    """The caller's, offline, with the repository to import from, and caches of data sets in ``folder``."""
    own = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache"), "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **own, "PYTHONPATH": str(_ROOT)}


def ringlite_command(place: Bench, run: str, samples: int, concurrency: int) -> list[str]:
    """The command line of a whole run of ours."""
    options = {
        "--backend": "openai",
        "--base-url": place.server.url(run),
        "--benchmarks": BENCHMARK,
        "-n": samples,
        "--concurrency": concurrency,
        "--data": place.data,
        "--out": place.folder / run / "run",
    }
    return [sys.executable, "-m", "ringlite", "score", *(str(part) for pair in options.items() for part in pair)]


def whole_run(place: Bench, side: str, run: str, samples: int, concurrency: int = CONCURRENCY) -> dict[str, Any]:
    """One whole run of one side: start-up, sampling, grading, storing, report.

    Returns:
        ``wall`` and ``cpu`` in seconds, memory in MiB of the process tree (see ``_memory``), ``correct`` as a share,
        ``sampling`` in seconds from the first request to the last answer.
    """
    folder = place.place(run)
    if side == "ringlite":
        command = ringlite_command(place, run, samples, concurrency)
    else:
        harness_lm_eval.write_task(folder / "task", place.asked, samples)
        command = harness_lm_eval.command(folder / "task", place.server.url(run), concurrency, folder / "out")
    done = measure(command, folder, environment(folder))
    seen = place.server.statistics(run)
    if seen["requests"] != samples * len(place.asked):
        sys.exit(f"{side} sent {seen['requests']} requests, not {samples * len(place.asked)}:\n{done.output[-2000:]}")
    correct = _ringlite_score(folder / "run") if side == "ringlite" else harness_lm_eval.score(folder / "out")
    return {
        "wall": done.wall,
        "cpu": done.cpu,
        "start_up": seen["first"] - done.started,
        "sampling": seen["last"] - seen["first"],
        "correct": correct,
        **_memory(done, seen["first"]),
    }


def _memory(done: Measured, first: float) -> dict[str, float]:
    """Peak of the tree's PSS, its growth since the process began and since the first request, peak of the RSS sum."""
    peak = done.peak.pss
    return {
        "peak": peak,
        "growth": peak - done.curve[0].pss,
        "growth_since_first_request": peak - done.at(first).pss,
        "peak_rss_sum": max(moment.rss for moment in done.curve),
    }


def _ringlite_score(folder: Path) -> float:
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))["benchmarks"]
    return float(rows[0]["score"])


def sampling(place: Bench, client: str, run: str, samples: int, concurrency: int = CONCURRENCY) -> dict[str, Any]:
    """Sampling alone, in a fresh process; adds ``per_second`` and ``cpu_ms`` a request."""
    folder = place.place(run)
    job = Job(place.server.url(run), str(place.data), samples, concurrency, str(folder / "run"))
    (folder / "job.json").write_text(json.dumps(asdict(job)), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.perf.harness_sampling", client, str(folder / "job.json")]
    done = measure(command, folder, environment(folder), interval=1.0)
    result: dict[str, Any] = json.loads(done.output.strip().splitlines()[-1])
    if result["answers"] != samples * len(place.asked):
        sys.exit(f"{client} has {result['answers']} answers, not {samples * len(place.asked)}:\n{done.output[-2000:]}")
    result["per_second"] = result["answers"] / result["seconds"]
    result["cpu_ms"] = 1000 * result["cpu"] / result["answers"]
    return result


def turns(names: list[str], rounds: int) -> Iterator[tuple[int, str]]:
    """(round, name) for every name in every round, another one first each time."""
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            yield number, name


__all__ = ["CLIENTS", "Bench", "bench", "ringlite_command", "sampling", "turns", "whole_run"]
