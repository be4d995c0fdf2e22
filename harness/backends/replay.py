"""Saved generations in the place of a model: our own samples, lm-eval, LiveCodeBench, EvalPlus, OpenAI batches."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.backends.checkpoint import file_hash
from harness.card import Card
from harness.importers import read_generations
from harness.types import Problem, Request, Sample, SamplingParams


class ReplayBackend:
    """Yields what a file holds of the requests; what it does not hold stays missing.

    Args:
        path: File, or a run folder of ours.
        sources: Benchmark -> its card and all its problems.
        model: Name under which the generations are reported; None: the file's.
        file_format: See ``importers.read_generations``.
    """

    name = "replay"
    seedable = True
    batch_size: int | None = None

    def __init__(
        self,
        path: Path,
        sources: Mapping[str, tuple[Card, Sequence[Problem]]],
        model: str | None = None,
        file_format: str | None = None,
    ) -> None:
        self._path, self._sources, self._format = path, sources, file_format
        self._model = model or (path.resolve().name if path.is_dir() else path.stem)

    def describe(self) -> dict[str, Any]:
        """The generations by name and content hash."""
        file = self._path / "samples.jsonl" if self._path.is_dir() else self._path
        content = f"sha256:{file_hash(file)}"
        return {
            "model": {"name": self._model, "hash": None, "revision": None},
            "engine": {"name": self.name, "version": None, "generations": content, "format": self._format},
            "host": {"path": str(self._path)},
        }

    def generate(self, benchmark: str, requests: Sequence[Request], params: SamplingParams) -> Iterator[Sample]:
        """Reads the file from the start and yields each sample that was asked for."""
        wanted = {(request.problem_id, request.index) for request in requests}
        card, problems = self._sources[benchmark]
        task = requests[0].task if requests else ""
        for sample in read_generations(self._path, card, problems, task, self._format):
            if (sample.problem_id, sample.index) in wanted:
                yield sample

    def close(self) -> None:
        """Nothing is held."""
