"""Reads a file (or run folder) of saved generations and finds the problem of each."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.card import Card
from harness.errors import UsageError, nearest
from harness.importers.formats import FORMATS, detect
from harness.importers.generation import Generation
from harness.loaders.read import json_lines, json_rows
from harness.types import Problem, Sample


def read_generations(
    path: Path, card: Card, problems: Sequence[Problem], task: str = "", file_format: str | None = None
) -> Iterator[Sample]:
    """Yields the samples of a generations file in file order.

    Args:
        path: File, or a run folder of ours (its ``samples.jsonl``; a torn last line there is passed over).
        card: The benchmark; rows that name another one are passed over.
        problems: All problems that may occur.
        task: ``Sample.task`` of what is yielded.
        file_format: One of ``FORMATS``; None: told by the keys of the first row.

    Raises:
        UsageError: The file is cut, damaged or of no known format (with line), or a problem is not in the benchmark.
    """
    matcher = _Matcher(card, problems)
    counts: dict[str, int] = {}
    for place, generation in generations(path, file_format):
        if generation.benchmark is not None and generation.benchmark != card.name:
            continue
        problem, index = matcher.find(generation, place)
        if generation.index is not None:
            index = generation.index
        elif index is None:
            index = counts.get(problem.id, 0)
        counts[problem.id] = max(counts.get(problem.id, 0), index + 1)
        metadata = dict(generation.metadata)
        if card.answer_type == "choice" and metadata.get("own_options"):
            raise UsageError(
                f"{place}: this task put the options in an order of its own, so its letters are not those of "
                f"'{card.name}'; sample with the task ringlite_{card.name} (benchmarks/lm_eval) instead"
            )
        if metadata.pop("continues_prompt", False):
            metadata["program"] = problem.prefix + generation.response
        yield Sample(
            task=task,
            benchmark=card.name,
            problem_id=problem.id,
            index=index,
            seed=generation.seed,
            response=generation.response,
            finish_reason=generation.finish_reason,
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
            metadata=metadata,
        )


def generations(path: Path, file_format: str | None = None) -> Iterator[tuple[str, Generation]]:
    """Yields (place, generation) before problems are matched; arguments and errors as in ``read_generations``."""
    if file_format is not None and file_format not in FORMATS:
        raise UsageError(
            f"unknown format '{file_format}'{nearest(file_format, FORMATS) or ''}; known: {', '.join(FORMATS)}"
        )
    found = False
    parse = FORMATS[file_format] if file_format else None
    for place, row in _rows(path):
        found = True
        if parse is None:
            name = detect(row)
            if name is None:
                keys = ", ".join(list(row)[:8])
                raise UsageError(
                    f"{place}: generations of no known format (keys {keys}); known: {', '.join(FORMATS)}; name it with "
                    "--format"
                )
            parse = FORMATS[name]
        try:
            yield from ((place, generation) for generation in parse(row))
        except (ValueError, TypeError, AttributeError) as error:
            raise UsageError(f"{place}: {error}; the file is damaged or of another format") from error
    if not found:
        raise UsageError(f"{path} holds no generations: it is empty")


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = path.is_dir()
    file = path / "samples.jsonl" if folder else path
    try:
        with file.open("rb") as stream:
            head = stream.read(4096).lstrip()[:1]
        # Strings that are no valid Unicode may stand in a file as raw surrogates; they are kept.
        with file.open(encoding="utf-8", errors="surrogatepass") as lines:
            if head == b"[":
                rows: Iterable[dict[str, Any]] = json_rows(lines.read(), str(file))
                yield from ((f"{file}, element {number}", row) for number, row in enumerate(rows, 1))
            else:
                whole = (line for line in lines if not folder or line.endswith("\n"))
                numbered = json_lines(whole, str(file))
                yield from ((f"{file}, line {number}", row) for number, row in numbered)
    except OSError as error:
        raise UsageError(f"generations file {file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"generations file {file} is not UTF-8 text (byte {error.start}): damaged or foreign"
        ) from error


class _Matcher:
    """Finds a problem by id, by an id inside a request's name, or by its text."""

    def __init__(self, card: Card, problems: Sequence[Problem]) -> None:
        self._card = card
        self._ids = {problem.id: problem for problem in problems}
        self._letters = [(_letters(problem.prompt), problem) for problem in problems]
        self._texts: dict[str, Problem | None] = {}

    def find(self, generation: Generation, place: str) -> tuple[Problem, int | None]:
        """Returns the problem and, where the request's name ends in one, the sample's index."""
        # Text first: copies of a benchmark number their problems differently.
        problem = self._by_text(generation.text) if generation.text else None
        if problem is not None:
            return problem, None
        name = generation.problem
        if name is not None:
            for candidate, index in _readings(name, self._card.name):
                if candidate in self._ids:
                    return self._ids[candidate], index
        hint = nearest(name or "", self._ids)
        raise UsageError(
            f"{place}: problem {name!r} is not among the {len(self._ids)} of benchmark '{self._card.name}'{hint}; is "
            "it another benchmark, release or window?"
        )

    def _by_text(self, text: str) -> Problem | None:
        if text not in self._texts:
            letters = _letters(text)
            hits = [problem for prompt, problem in self._letters if letters and letters in prompt]
            self._texts[text] = hits[0] if len(hits) == 1 else None
        return self._texts[text]


def _readings(name: str, benchmark: str) -> Iterator[tuple[str, int | None]]:
    """Ways to read a request's name: ``id``, ``benchmark:id``, each also with ``#3``, ``:3``, ``-3``, ``_3`` behind."""
    names = [name]
    prefixed = re.match(rf"{re.escape(benchmark)}[:/#|_-]+(.+)$", name, re.DOTALL)
    if prefixed:
        names.append(prefixed[1])
    for candidate in names:
        yield candidate, None
    for candidate in names:
        numbered = re.match(r"(.+?)[:/#|_-]+(?:sample[_-]?)?(\d+)$", candidate, re.DOTALL)
        if numbered:
            yield numbered[1], int(numbered[2])


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text)
