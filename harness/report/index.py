"""Streams a run folder into the report's chunks, and makes the index by which the page finds them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.chunks import MOST_EVIDENCE, ChunkWriter, SampleIndex, cut
from harness.scoring_problems import is_protected
from harness.scoring_results import Row
from harness.scoring_tally import FINISHES, STATUSES, Tally
from harness.store import GRADES, read_grades, read_samples
from harness.types import Grade

MOST_ANSWER = 40
RIGHT, CUT, NO_ANSWER, GRADED, DISAGREE, FAILED = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Texts:
    """One benchmark's samples, for the page.

    Attributes:
        index: What the viewer's script reads.
        lengths: Length of every sample, shape (samples,), in ``unit``; only those that are known.
        kinds: 0 right, 1 wrong, 2 cut at the limit; same shape.
        unit: "tokens", or "characters" where no number of tokens is known.
    """

    index: dict[str, Any]
    lengths: NDArray[np.int64]
    kinds: NDArray[np.int64]
    unit: str


def write_texts(folder: Path, rows: Sequence[Row], writer: ChunkWriter) -> list[Texts]:
    """Writes problems, responses and grades of all benchmarks, and returns one index a benchmark.

    Two passes over the files; in memory stay numbers, never texts. Benchmarks whose text is protected get no texts.
    """
    places = {row.score.task: place for place, row in enumerate(rows)}
    hidden = [row.card is not None and is_protected(row.card) for row in rows]
    tallies = [Tally(problem.id for problem in row.per_problem) for row in (row.score for row in rows)]
    indices = [SampleIndex() for _ in rows]
    slots: list[dict[tuple[int, int], int]] = [{} for _ in rows]
    numbers = [{problem.id: i for i, problem in enumerate(row.score.per_problem)} for row in rows]
    for sample in read_samples(folder):
        place = places.get(sample.task)
        problem = None if place is None else numbers[place].get(sample.problem_id)
        # A folder keeps what a larger n or limit has left in it; the report shows what was asked last.
        if place is None or problem is None or sample.index >= rows[place].entry["extent"]["n"]:
            continue
        tallies[place].add_sample(sample)
        index = indices[place]
        slots[place][problem, sample.index] = len(index.problem)
        index.problem.append(problem)
        index.number.append(sample.index)
        index.tokens.append(-1 if sample.completion_tokens is None else sample.completion_tokens)
        text = ["", 0, ""] if hidden[place] else cut(sample.response)
        record = [*text, sample.seed, sample.finish_reason]
        index.chunk.append(writer.add("s", f"{place}.{problem}.{sample.index}", record))
        index.grade_chunk.append(-1)
        index.answer.append(-1)
    _grades(folder, rows, places, tallies, indices, numbers, slots, hidden, writer)
    problems = [_problems(place, row, writer) for place, row in enumerate(rows)]
    for row, tally, index in zip(rows, tallies, indices, strict=True):
        index.flags = _flags(tally, row.score.scorer)
    return [
        _texts(tally, index, row, hidden[place], problems[place])
        for place, (row, tally, index) in enumerate(zip(rows, tallies, indices, strict=True))
    ]


def _texts(tally: Tally, index: SampleIndex, row: Row, hidden: bool, problem_chunks: list[int]) -> Texts:
    columns, flags = tally.samples, np.array(index.flags, dtype=np.int64)
    known = columns.tokens >= 0
    unit = "tokens" if known.any() else "characters"
    lengths = columns.tokens[known] if known.any() else columns.characters
    kinds = np.where(flags & CUT, 2, np.where(flags & RIGHT, 0, 1))
    content = {
        "name": row.score.benchmark,
        "title": row.title,
        "scorer": row.score.scorer,
        "hidden": hidden,
        "ids": [problem.id for problem in row.score.per_problem],
        "problemChunk": problem_chunks,
        **index.as_json(),
    }
    return Texts(content, lengths, kinds[known] if known.any() else kinds, unit)


def _grades(
    folder: Path,
    rows: Sequence[Row],
    places: dict[str, int],
    tallies: Sequence[Tally],
    indices: Sequence[SampleIndex],
    numbers: Sequence[dict[str, int]],
    slots: Sequence[dict[tuple[int, int], int]],
    hidden: Sequence[bool],
    writer: ChunkWriter,
) -> None:
    answers: list[dict[str, int]] = [{} for _ in rows]
    for grade in read_grades(folder) if (folder / GRADES).exists() else ():
        place = places.get(grade.task)
        problem = None if place is None else numbers[place].get(grade.problem_id)
        slot = None if place is None or problem is None else slots[place].get((problem, grade.index))
        if place is None or slot is None:
            continue
        tallies[place].add_grade(grade)
        main = grade.scorer == rows[place].score.scorer
        key = f"{place}.{problem}.{grade.index}" + ("" if main else f".{grade.scorer}")
        chunk = writer.add("g", key, _grade_record(grade, hidden[place]))
        if not main:
            there = indices[place].others.setdefault(grade.scorer, [-1] * len(indices[place].problem))
            there[slot] = chunk
        else:
            indices[place].grade_chunk[slot] = chunk
            text = " ".join((grade.extracted or "").split())
            if text and len(text) <= MOST_ANSWER and not (hidden[place] and len(text) > 2):
                known = answers[place].setdefault(text, len(answers[place]))
                if known == len(indices[place].answers):
                    indices[place].answers.append(text)
                indices[place].answer[slot] = known


def _grade_record(grade: Grade, hidden: bool) -> list[Any]:
    if hidden:
        return [grade.scorer, grade.correct, grade.status, "", ""]
    evidence = json.dumps(grade.evidence, indent=1, default=str, ensure_ascii=False) if grade.evidence else ""
    return [grade.scorer, grade.correct, grade.status, grade.extracted or "", evidence[:MOST_EVIDENCE]]


def _problems(place: int, row: Row, writer: ChunkWriter) -> list[int]:
    asked = {problem.id: problem for problem in row.problems}
    chunks = []
    for number, problem in enumerate(row.score.per_problem):
        known = asked.get(problem.id)
        prompt = known.prompt if known else None
        record = [cut(prompt)[0] if prompt else None, known.gold if known else None, dict(problem.metadata)]
        chunks.append(writer.add("p", f"{place}.{number}", record))
    return chunks


def _flags(tally: Tally, scorer: str) -> list[int]:
    columns, main = tally.samples, tally.scorer(scorer)
    flags = np.where(main.correct, RIGHT, 0) | np.where(main.graded, GRADED, 0)
    flags |= np.where(columns.finish == FINISHES.index("length"), CUT, 0)
    for status, bit in (
        ("no_answer", NO_ANSWER),
        ("truncated", NO_ANSWER),
        ("timeout", FAILED),
        ("refused_input", FAILED),
    ):
        flags |= np.where(main.status == STATUSES.index(status), bit, 0)
    for name in tally.scorers:
        other = tally.scorer(name)
        flags |= np.where(main.graded & other.graded & (main.correct != other.correct), DISAGREE, 0)
    return [int(flag) for flag in flags]
