"""Samples and grades -> the score of a benchmark: how often it is right, and how sure that is."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.scoring_breakdown import breakdowns
from harness.scoring_repeats import find_repeats
from harness.scoring_tally import FINISHES, STATUSES, UNKNOWN, SampleColumns, ScorerColumn, Tally
from harness.scoring_types import OtherScorer, ProblemScore, Score, Shares, Tokens
from harness.statistics import (
    Counts,
    avg_at_n,
    clustered_interval,
    g_pass_at_k,
    mg_pass_at_k,
    pass_at_k,
    sampling_interval,
    se_clustered,
    se_samp,
    se_total,
    total_interval,
    within_variance,
)
from harness.types import Grade, Sample

NAN = float("nan")
PASS_AT = (1, 2, 4, 8, 10, 16, 32, 64)


def score_run(
    samples: Iterable[Sample],
    grades: Iterable[Grade],
    *,
    benchmark: str,
    task: str,
    scorer: str,
    problem_ids: Sequence[str] = (),
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
    expected_problems: int | None = None,
    total_problems: int | None = None,
) -> Score:
    """Scores one task from streams of its samples and grades; neither is held in memory.

    Args:
        samples: Samples of the run; those of other tasks are passed over.
        grades: Grades of the run, likewise, by any scorers.
        benchmark: Name of the card.
        task: Hash of the task.
        scorer: The scorer whose verdicts make the score.
        problem_ids: The benchmark's order of problems; others follow in the order of their samples.
        metadata: problem id -> what tables are broken down by; ``cluster`` names problems that belong together.
        expected_problems: Problems that were asked for; None: those seen.
        total_problems: Problems of the benchmark; None: as expected.
    """
    tally = Tally(problem_ids)
    for sample in samples:
        if sample.task == task:
            tally.add_sample(sample)
    for grade in grades:
        if grade.task == task:
            tally.add_grade(grade)
    return score_tally(tally, benchmark, task, scorer, metadata or {}, expected_problems, total_problems)


def score_tally(
    tally: Tally,
    benchmark: str,
    task: str,
    scorer: str,
    metadata: Mapping[str, Mapping[str, Any]],
    expected_problems: int | None = None,
    total_problems: int | None = None,
) -> Score:
    """Scores a filled tally; arguments as in :func:`score_run`."""
    columns, main = tally.samples, tally.scorer(scorer)
    size = len(tally.problem_ids)
    n, c = _count(columns, main.graded, size), _count(columns, main.correct, size)
    seen = n > 0
    names = [name for name, there in zip(tally.problem_ids, seen, strict=True) if there]
    counts = Counts.of(c[seen], n[seen])
    known = [metadata.get(name, {}) for name in names]
    clusters = [str(row["cluster"]) for row in known if row.get("cluster") is not None]
    clustered = bool(names) and len(clusters) == len(names)
    repeats = find_repeats(columns, size)
    finished = main.graded & (columns.finish == FINISHES.index("stop"))
    expected = expected_problems if expected_problems is not None else len(names)
    return Score(
        benchmark=benchmark,
        task=task,
        scorer=scorer,
        problems=counts.problems,
        expected_problems=expected,
        total_problems=total_problems if total_problems is not None else expected,
        samples=int(main.graded.sum()),
        ungraded=int((~main.graded).sum()),
        fewest=counts.fewest,
        most=int(counts.samples.max()) if names else 0,
        samples_per_problem=counts.samples_per_problem,
        score=avg_at_n(counts),
        variance=within_variance(counts),
        se_samp=se_samp(counts),
        se_total=se_clustered(counts, clusters) if clustered else se_total(counts),
        clusters=len(set(clusters)) if clustered else None,
        interval_samp=sampling_interval(counts),
        interval_total=clustered_interval(counts, clusters) if clustered else total_interval(counts),
        pass_at_k={k: pass_at_k(counts, k) for k in PASS_AT if k <= counts.fewest},
        g_pass=_g_pass(counts),
        shares=_shares(columns, main),
        finished_score=_ratio(int((finished & main.correct).sum()), int(finished.sum())),
        finished_samples=int(finished.sum()),
        others=tuple(_other(columns, main, name, tally) for name in tally.scorers if name != scorer),
        tokens=_tokens(columns, main),
        groups=breakdowns(names, known, counts),
        per_problem=_per_problem(tally.problem_ids, columns, main, repeats.identical, metadata),
        identical_problems=int(repeats.identical.sum()),
        repeatable_problems=repeats.repeatable,
        identical_long=repeats.identical_long,
        repeated_long=repeats.repeated_long,
        distinct_texts=repeats.distinct,
        stray_grades=tally.stray_grades,
    )


def _count(columns: SampleColumns, chosen: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
    return np.bincount(columns.problem[chosen], minlength=size).astype(np.int64)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def _g_pass(counts: Counts) -> dict[str, float]:
    fitting = [k for k in PASS_AT if 2 <= k <= counts.fewest]
    if not fitting:
        return {}
    k = fitting[-1]
    values = {f"{k}@{tau}": g_pass_at_k(counts, k, tau) for tau in (0.25, 0.5, 0.75, 1.0)}
    return {**values, f"{k}@mean": mg_pass_at_k(counts, k)}


def _shares(columns: SampleColumns, main: ScorerColumn) -> Shares:
    graded = int(main.graded.sum())
    ends = main.graded & (columns.finish != FINISHES.index("unknown"))
    cut = ends & (columns.finish == FINISHES.index("length"))
    without = {name: main.status == STATUSES.index(name) for name in STATUSES}
    empty = without["no_answer"] | without["truncated"]
    stopped = ends & ~cut
    return Shares(
        truncated=_ratio(int(cut.sum()), int(ends.sum())),
        no_answer=_ratio(int(empty.sum()), graded),
        no_answer_finished=_ratio(int((empty & stopped).sum()), int(stopped.sum())),
        timeout=_ratio(int(without["timeout"].sum()), graded),
        refused=_ratio(int(without["refused_input"].sum()), graded),
    )


def _other(columns: SampleColumns, main: ScorerColumn, name: str, tally: Tally) -> OtherScorer:
    other = tally.scorer(name)
    both = main.graded & other.graded
    size = len(tally.problem_ids)
    n, c = _count(columns, both, size), _count(columns, both & other.correct, size)
    only_main = int((both & main.correct & ~other.correct).sum())
    only_other = int((both & other.correct & ~main.correct).sum())
    score = avg_at_n(Counts.of(c[n > 0], n[n > 0]))
    return OtherScorer(name, score, int(both.sum()), only_main + only_other, only_main, only_other)


def _tokens(columns: SampleColumns, main: ScorerColumn) -> Tokens:
    known = columns.tokens != UNKNOWN
    values = columns.tokens[known]

    def mean(chosen: NDArray[np.bool_]) -> float:
        picked = columns.tokens[known & main.graded & chosen]
        return float(picked.mean()) if picked.size else NAN

    median, p90 = (float(q) for q in np.percentile(values, [50, 90])) if values.size else (NAN, NAN)
    return Tokens(
        known=int(values.size),
        total=int(values.sum()),
        mean=float(values.mean()) if values.size else NAN,
        median=median,
        p90=p90,
        longest=float(values.max()) if values.size else NAN,
        mean_correct=mean(main.correct),
        mean_wrong=mean(~main.correct),
        prompt_total=int(columns.prompt_tokens[columns.prompt_tokens != UNKNOWN].sum()),
    )


def _per_problem(
    names: Sequence[str],
    columns: SampleColumns,
    main: ScorerColumn,
    identical: NDArray[np.bool_],
    metadata: Mapping[str, Mapping[str, Any]],
) -> tuple[ProblemScore, ...]:
    size = len(names)
    n, c = _count(columns, main.graded, size), _count(columns, main.correct, size)
    cut = _count(columns, main.graded & (columns.finish == FINISHES.index("length")), size)
    empty = (main.status == STATUSES.index("no_answer")) | (main.status == STATUSES.index("truncated"))
    none = _count(columns, empty, size)
    known = columns.tokens != UNKNOWN
    tokens = np.bincount(columns.problem[known], weights=columns.tokens[known], minlength=size)
    counted = _count(columns, known, size)
    drawn = np.bincount(columns.problem, minlength=size)
    return tuple(
        ProblemScore(
            id=name,
            samples=int(n[i]),
            correct=int(c[i]),
            truncated=int(cut[i]),
            no_answer=int(none[i]),
            mean_tokens=float(tokens[i] / counted[i]) if counted[i] else math.nan,
            identical=bool(identical[i]),
            metadata=metadata.get(name, {}),
        )
        for i, name in enumerate(names)
        if drawn[i]
    )
