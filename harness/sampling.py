"""Draws what a task still lacks, n samples a problem, each stored before the next is waited for."""

from collections.abc import Callable, Iterator, Sequence

from harness.protocol import Task
from harness.store import RunStore
from harness.types import Backend, Request, Sample, SamplingParams


def missing(task: Task, store: RunStore, run_seed: int) -> list[Request]:
    """Requests whose sample is not stored yet."""
    return [request for request in task.requests(run_seed) if not _stored(store, request)]


def sample_task(
    backend: Backend, task: Task, store: RunStore, run_seed: int, on_sample: Callable[[Sample], None]
) -> int:
    """Draws and stores the samples that are missing.

    Args:
        backend: The engine.
        task: What is asked.
        store: Where samples go; it decides what is missing.
        run_seed: Seed of the run.
        on_sample: Called with each new sample once it is stored.

    Returns:
        Number of samples that were drawn now.
    """
    count = 0
    params = task.params or SamplingParams()
    for requests in batches(backend, task, store, run_seed):
        for sample in backend.generate(task.card.name, requests, params):
            if store.add_sample(sample):
                count += 1
                on_sample(sample)
    return count


def batches(backend: Backend, task: Task, store: RunStore, run_seed: int) -> Iterator[Sequence[Request]]:
    """Cuts the task into what is handed to the engine at once.

    An engine that draws requests independently gets all that are missing. One that draws them in batches gets the
    batches of a plan that hangs on the whole task and not on what is stored: a batch with anything missing is drawn
    again as it was, so that every sample comes out as in a run that was never interrupted. Prompts of like length go
    together, which saves padding.
    """
    if backend.batch_size is None:
        requests = missing(task, store, run_seed)
        if requests:
            yield requests
        return
    plan = sorted(task.requests(run_seed), key=lambda request: sum(len(m["content"]) for m in request.messages))
    for start in range(0, len(plan), backend.batch_size):
        batch = plan[start : start + backend.batch_size]
        if not all(_stored(store, request) for request in batch):
            yield batch


def _stored(store: RunStore, request: Request) -> bool:
    return store.has_sample(request.task, request.problem_id, request.index)
