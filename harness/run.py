"""One run: sample what is missing, grade beside it, store everything; shared by ``score`` and ``grade``."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.executors.executor import LOCAL, Choice
from harness.grading import Backlog, GradingQueue
from harness.grading_scorers import SampleGrader, make_grader, scorer_names
from harness.progress import RunProgress
from harness.protocol import Task, merge, new_manifest, now
from harness.sampling import missing, sample_task
from harness.scoring_problems import write_problems
from harness.store import RunStore
from harness.types import Backend, Problem, Sample


@dataclass(frozen=True)
class RunOutcome:
    """What a run did: new samples, samples still missing (a generations file may lack some), and its manifest."""

    drawn: int
    missing: int
    manifest: dict[str, Any]


def run_tasks(
    backend: Backend,
    tasks: Sequence[Task],
    folder: Path,
    *,
    seed: int = 0,
    scorers: Sequence[str] = (),
    workers: int | None = None,
    executor: Choice = LOCAL,
) -> RunOutcome:
    """Brings a run folder to the state where every asked sample is stored and graded.

    Whatever is there already is kept and not done again, so the same call after a crash does the rest.

    Args:
        backend: The engine.
        tasks: Benchmarks as they are asked.
        folder: The run folder.
        seed: Seed of the run.
        scorers: Only these scorers, where a benchmark has them; empty: all of its scorers.
        workers: Samples graded at once, with a Ray cluster on each node; None: the usable CPUs.
        executor: Where samples are graded.

    Raises:
        UsageError: The folder holds another run, or input of a part is bad.
        SandboxError: Programs cannot be isolated on this host, or could not be judged.
    """
    names = {task.hash: scorer_names(task.card, scorers) for task in tasks}
    with ExitStack() as stack:
        store = stack.enter_context(RunStore(folder))
        pool = _start_graders(stack, names.values(), workers, executor)
        graders = pool.graders
        manifest = _manifest(backend, tasks, names, graders, seed)
        manifest["sessions"][0].update(pool.facts)
        manifest = merge(store.manifest, manifest, folder)
        store.write_manifest(manifest)
        for task in tasks:
            write_problems(folder, task.hash, task.card, task.problems)
        progress = stack.enter_context(RunProgress())
        for task in tasks:
            left = len(missing(task, store, seed))
            total = len(task.problems) * task.n
            progress.add(task.hash, task.card.title, total, total - left)
        queue = stack.enter_context(GradingQueue(store, graders, pool.threads, progress.graded))
        problems = {task.hash: {problem.id: problem for problem in task.problems} for task in tasks}
        backlog = Backlog(store, queue, {task.hash: (problems[task.hash], names[task.hash]) for task in tasks})
        backlog.start()
        stack.callback(backlog.stop)
        drawn = 0
        for task in tasks:
            progress.begin(task.hash)
            by_id = problems[task.hash]

            def stored(sample: Sample, by_id: Mapping[str, Problem] = by_id) -> None:
                progress.sampled(sample)
                queue.submit(by_id[sample.problem_id], sample, names[sample.task])

            drawn += sample_task(backend, task, store, seed, stored)
        backlog.finish()
        queue.finish()
        absent = sum(len(missing(task, store, seed)) for task in tasks)
    return RunOutcome(drawn, absent, manifest)


@dataclass(frozen=True)
class _Graders:
    """The scorers, the threads that may call them at once, and what the session's record says of where they work."""

    graders: Mapping[str, SampleGrader]
    threads: int
    facts: Mapping[str, Any]


def _start_graders(stack: ExitStack, wanted: Iterable[Sequence[str]], workers: int | None, choice: Choice) -> _Graders:
    scorers = list(dict.fromkeys(name for names in wanted for name in names))
    if choice.is_ray:
        from harness.executors.grading import RayGrader, grading_executor

        running = grading_executor(scorers, choice.ray_address, workers)
        stack.callback(running.close)
        remote = {scorer: RayGrader(scorer, running) for scorer in scorers}
        return _Graders(remote, running.threads, {"grading": running.facts()})
    workers = workers or len(os.sched_getaffinity(0))
    graders: dict[str, SampleGrader] = {}
    for scorer in scorers:
        graders[scorer] = make_grader(scorer, workers)
        stack.callback(graders[scorer].close)
    return _Graders(graders, workers, {})


def _manifest(
    backend: Backend,
    tasks: Sequence[Task],
    names: Mapping[str, Sequence[str]],
    graders: Mapping[str, SampleGrader],
    seed: int,
) -> dict[str, Any]:
    described = backend.describe()
    manifest = new_manifest(described["model"], described["engine"], seed)
    for task in tasks:
        if task.hash in manifest["tasks"]:
            raise UsageError(f"the benchmark {task.card.name} is named twice")
        manifest["tasks"][task.hash] = task.entry({name: graders[name].describe() for name in names[task.hash]})
    manifest["sessions"] = [{"started": now(), **described["host"]}]
    return manifest
