"""What a score consists of. Shares of 1 throughout; NaN where a figure is undefined or not known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.scoring_breakdown import Group
from harness.statistics import Interval


@dataclass(frozen=True, slots=True)
class ProblemScore:
    """One problem: samples graded, right, cut at the limit, without an answer; mean tokens (NaN where not known)."""

    id: str
    samples: int
    correct: int
    truncated: int
    no_answer: int
    mean_tokens: float
    identical: bool
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the graded samples, each in [0, 1]; NaN where it is not known.

    Attributes:
        truncated: Cut at the token limit, of those whose end is known.
        no_answer: Nothing in the response counts as an answer, whether it was cut or not.
        no_answer_finished: No answer although the response ended by itself.
        timeout: The comparison was killed at its deadline.
        refused: The answer was outside what the grader accepts.
    """

    truncated: float
    no_answer: float
    no_answer_finished: float
    timeout: float
    refused: float


@dataclass(frozen=True, slots=True)
class OtherScorer:
    """Another scorer's view: its avg@n over the samples that both graded, and on how many the two differ."""

    scorer: str
    score: float
    samples: int
    disagreements: int
    only_main: int  # samples that only the main scorer accepts
    only_other: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Generated tokens over the samples where the number is known; NaN where it never is."""

    known: int
    total: int
    mean: float
    median: float
    p90: float
    longest: float
    mean_correct: float
    mean_wrong: float
    prompt_total: int


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one benchmark by one scorer; shares of 1.

    Attributes:
        benchmark: Name of the card.
        task: Hash of what was asked.
        scorer: The scorer that ``score`` rests on.
        problems: P, problems with at least one graded sample.
        expected_problems: Problems that the run was asked for.
        total_problems: Problems that the benchmark has.
        samples: Graded samples.
        ungraded: Samples without a grade of this scorer; they are in no figure.
        fewest, most: Graded samples of a problem.
        samples_per_problem: n of the formulas (harmonic mean of n_i).
        score: avg@n.
        variance: v.
        se_samp, se_total: The two errors; ``se_total`` respects clusters where the problems name them.
        clusters: Number of clusters; None without.
        interval_samp, interval_total: 95 % intervals.
        pass_at_k: k -> pass@k for every usual k that the samples allow.
        g_pass: "k@tau" -> G-Pass@k_tau for the largest usual k, and "k@mean" -> mG-Pass@k.
        shares: Truncated, without an answer, ...
        finished_score: Share right of the samples that ended by themselves; NaN where ends are not known.
        finished_samples: How many those are.
        others: Other scorers.
        tokens: Lengths.
        groups: metadata key -> score of each value.
        per_problem: In the order of the benchmark.
        identical_problems: Problems with at least 2 samples all of whose texts are equal.
        repeatable_problems: Problems with at least 2 samples.
        identical_long: Those of them whose text is long enough that chance cannot repeat it.
        repeated_long: Share of the long responses that repeat an earlier one of their problem; NaN without long ones.
        distinct_texts: Distinct texts over samples, counted within problems.
        stray_grades: Grades whose sample is not there.
    """

    benchmark: str
    task: str
    scorer: str
    problems: int
    expected_problems: int
    total_problems: int
    samples: int
    ungraded: int
    fewest: int
    most: int
    samples_per_problem: float
    score: float
    variance: float
    se_samp: float
    se_total: float
    clusters: int | None
    interval_samp: Interval
    interval_total: Interval
    pass_at_k: dict[int, float]
    g_pass: dict[str, float]
    shares: Shares
    finished_score: float
    finished_samples: int
    others: tuple[OtherScorer, ...]
    tokens: Tokens
    groups: dict[str, list[Group]]
    per_problem: tuple[ProblemScore, ...]
    identical_problems: int
    repeatable_problems: int
    identical_long: int
    repeated_long: float
    distinct_texts: float
    stray_grades: int
