"""What a file of saved generations holds, found out before anything is graded."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.card import Card
from harness.errors import UsageError
from harness.importers import read_generations
from harness.importers.reader import generations
from harness.loaders.row import Source
from harness.problems import Loaded
from harness.protocol import digest
from harness.run_setup import Overrides
from harness.store import MANIFEST, read_manifest
from harness.types import Problem, SamplingParams


@dataclass(frozen=True, slots=True)
class Survey:
    """Contents of one file for one benchmark.

    Attributes:
        problems: Ids with a sample.
        samples: Number of samples.
        n: Most samples of a problem.
        official: Whether every sample carries an official verdict.
    """

    problems: frozenset[str]
    samples: int
    n: int
    official: bool


def survey(path: Path, card: Card, problems: Sequence[Problem], file_format: str | None = None) -> Survey:
    """Reads a file once, to its end, so that damage anywhere is known before the work begins.

    Raises:
        UsageError: As ``read_generations``; or the file has no sample of this benchmark.
    """
    most: Counter[str] = Counter()
    samples = official = 0
    for sample in read_generations(path, card, problems, file_format=file_format):
        samples += 1
        official += "official" in sample.metadata
        most[sample.problem_id] = max(most[sample.problem_id], sample.index + 1)
    if not samples:
        raise UsageError(f"{path} holds no generation for benchmark '{card.name}'")
    return Survey(frozenset(most), samples, max(most.values()), official == samples)


def problems_from(path: Path, card: Card, file_format: str | None = None) -> Loaded:
    """Problems as far as the generations file itself describes them: ids and facts, for official verdicts only.

    Raises:
        UsageError: The file is damaged, or does not name its problems.
    """
    facts: dict[str, dict[str, Any]] = {}
    for place, generation in generations(path, file_format):
        if generation.problem is None or "problem" not in generation.metadata:
            raise UsageError(f"{place}: no facts about the problem here; give the benchmark's rows with --data DIR")
        facts[generation.problem] = generation.metadata["problem"]
    problems = [Problem(name, "", None, known) for name, known in facts.items()]
    content = f"ids:{digest(sorted(facts))}"
    return Loaded(problems, Source("generations", path.name), content, None)


def recorded_sampling(path: Path) -> dict[str, SamplingParams]:
    """Benchmark -> how it was sampled, where the generations are a run folder of ours; else empty."""
    if not (path / MANIFEST).is_file():
        return {}
    return {entry["benchmark"]: params for entry, params in _sampled(read_manifest(path))}


def _sampled(manifest: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], SamplingParams]]:
    for entry in manifest["tasks"].values():
        sampling = entry.get("sampling")
        if sampling:
            yield entry, SamplingParams(**{**sampling, "stop": tuple(sampling.get("stop") or ())})


def stated_sampling(path: Path, benchmark: str, asked: Overrides) -> SamplingParams | None:
    """How a file was sampled: as its own manifest or the user says. None: not known, and nothing is made up.

    Raises:
        UsageError: The user states half of it.
    """
    recorded = recorded_sampling(path).get(benchmark)
    stated = (asked.temperature, asked.top_p, asked.max_tokens)
    if recorded is None and None in stated[:2]:
        if any(value is not None for value in stated):
            raise UsageError("to state how a file was sampled, give both --temperature and --top-p (and --max-tokens)")
        return None
    base = recorded or SamplingParams(max_tokens=None)
    changes = {
        name: value for name in ("temperature", "top_p", "max_tokens") if (value := getattr(asked, name)) is not None
    }
    return replace(base, **changes)
