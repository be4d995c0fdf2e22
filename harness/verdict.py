"""The verdict on one row: does this score reproduce that number?

Order: protocol diff and guards ("not comparable", with the fields), then the two one-sided tests of the margin that the
card fixed before the run. All figures here are in points (percent).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.published import Published
from harness.scoring_types import Score
from harness.statistics import (
    Interval,
    difference_error,
    equivalence,
    holm,
    samples_needed,
    smallest_margin,
)
from harness.verdict_guards import Guard, guards
from harness.verdict_protocol import NEVER_ACCEPTED, FieldComparison

Outcome = Literal["reproduced", "not reproduced", "inconclusive", "not comparable"]
NAN = float("nan")
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of one score against one published number, in points.

    Attributes:
        benchmark: Name of the card.
        published: The number and its place.
        outcome: The verdict.
        reason: One line in plain words.
        advice: What would settle it; "" where nothing is left to settle.
        score: A, ours.
        difference: D = A - B.
        se: SE_D.
        interval: The 90 % interval of D.
        margin: delta.
        zero_excluded: 0 lies outside the 95 % interval of D.
        p_equivalent, p_different: Of the two tests; NaN when not comparable.
        samples: n, ours per problem.
        published_samples: m as used (1 where it is not known).
        more_samples: Samples per problem still to draw; 0: decided; infinity: undecidable; NaN: not comparable.
        smallest_margin: The smallest margin that endless samples here could decide.
        protocol: The protocol, field by field.
        guards: Guards that struck.
    """

    benchmark: str
    published: Published
    outcome: Outcome
    reason: str
    advice: str
    score: float
    difference: float
    se: float
    interval: Interval
    margin: float
    zero_excluded: bool
    p_equivalent: float
    p_different: float
    samples: float
    published_samples: int
    more_samples: float
    smallest_margin: float
    protocol: tuple[FieldComparison, ...]
    guards: tuple[Guard, ...]

    @property
    def accepted(self) -> tuple[str, ...]:
        """Exceptions that the user made and that mattered."""
        fields = [item.field for item in self.protocol if item.accepted]
        return tuple(dict.fromkeys([*fields, *(guard.name for guard in self.guards if guard.accepted)]))


def decide(
    score: Score,
    published: Published,
    margin: float,
    protocol: Sequence[FieldComparison],
    temperature: float | None,
    accept: Iterable[str] = (),
) -> Verdict:
    """Holds a score against a published number.

    Args:
        score: Ours, in shares of 1.
        published: The number.
        margin: delta in points, fixed before the run.
        protocol: The comparison of the two protocols, with accepted fields marked.
        temperature: Ours; None if not known.
        accept: Guards that the user accepts.
    """
    struck = guards(score, temperature, accept)
    v, problems = 1e4 * score.variance, score.problems
    m = published.samples or 1
    ours, h = 100 * score.score, published.half_unit
    blocked = reasons(protocol, struck)
    if not problems:
        blocked = ["there is no graded sample"]
    least = smallest_margin(v, problems, m, h) if problems else NAN
    if blocked:
        outcome: Outcome = "not comparable"
        difference, se, zero, p_same, p_far = ours - published.value, NAN, False, NAN, NAN
        interval, more = Interval(NAN, NAN, 0.9), NAN
        reason, advice = "; ".join(blocked), _way_out(protocol, struck)
    else:
        difference = ours - published.value
        se = difference_error(v, problems, score.samples_per_problem, m, h)
        test = equivalence(difference, se, margin)
        outcome, interval, zero = test.outcome, test.interval, test.zero_excluded
        p_same, p_far = test.p_equivalent, test.p_different
        more = 0.0
        reason, advice = _explain(test.outcome, difference, interval, margin, zero), ""
        if outcome == "inconclusive":
            more, advice = _still_needed(score, v, m, h, margin, difference, least)
    return Verdict(
        benchmark=score.benchmark,
        published=published,
        outcome=outcome,
        reason=reason,
        advice=advice,
        score=ours,
        difference=difference,
        se=se,
        interval=interval,
        margin=margin,
        zero_excluded=zero,
        p_equivalent=p_same,
        p_different=p_far,
        samples=score.samples_per_problem,
        published_samples=m,
        more_samples=more,
        smallest_margin=least,
        protocol=tuple(protocol),
        guards=struck,
    )


def reasons(protocol: Iterable[FieldComparison], struck: Iterable[Guard]) -> list[str]:
    """Why two scores are not comparable, one clause each; empty where they are."""
    blocking = [item for item in protocol if item.blocks]
    unknown = [item.field for item in blocking if item.state == "not recorded"]
    clauses = [str(item) for item in blocking if item.state == "differs"]
    clauses += [f"{', '.join(unknown)} not recorded for these samples"] if unknown else []
    clauses = [f"the protocol differs: {', '.join(clauses)}"] if clauses else []
    return clauses + [guard.reason for guard in struck if not guard.accepted]


def _explain(outcome: str, difference: float, interval: Interval, margin: float, zero_excluded: bool) -> str:
    span = f"the 90 % interval of the difference, {interval.low:+.2f} to {interval.high:+.2f} points,"
    if outcome == "reproduced":
        return f"{span} lies inside the margin of ±{margin:g}"
    if outcome == "not reproduced":
        return (
            f"{span} lies outside the margin of ±{margin:g}: {'higher' if difference > 0 else 'lower'} than published"
        )
    zero = (
        "the scores do differ (0 is excluded at 95 %), but perhaps by less than the margin"
        if zero_excluded
        else "a difference of 0 is not excluded either (95 %)"
    )
    return f"{span} crosses the margin of ±{margin:g}; {zero}"


def _still_needed(
    score: Score, v: float, m: int, h: float, margin: float, difference: float, least: float
) -> tuple[float, str]:
    n = score.samples_per_problem
    needed = samples_needed(v, score.problems, m, h, margin)
    assumption = "if the two are in truth equal (power 90 %)"
    if math.isinf(needed):
        return math.inf, (
            f"undecidable at a margin of {margin:g}: with {m} sample{'s' if m > 1 else ''} a problem the published "
            f"figure's own noise needs a margin of at least {least:.1f}"
        )
    if needed <= n:
        needed = _needed_at(v, score.problems, m, h, abs(abs(difference) - margin))
        if math.isinf(needed) or needed > 100 * n:
            return math.inf, "the difference lies too near the margin: no reasonable number of samples would settle it"
        assumption = "if the difference stays as it is"
    more = max(1, math.ceil(needed - n))
    plural = "s" if more > 1 else ""
    return float(
        more
    ), f"{more} more sample{plural} per problem ({math.ceil(n + more)} in all) would settle it {assumption}"


def _needed_at(v: float, problems: int, m: int, h: float, distance: float) -> float:
    """n at which 1.645 SE_D equals the distance of the difference from the margin."""
    bracket = (distance / 1.645) ** 2 - v / (problems * m) - h**2 / 3
    return math.ceil(v / (problems * bracket)) if bracket > 0 else math.inf


def _way_out(protocol: Sequence[FieldComparison], struck: Sequence[Guard]) -> str:
    names = [item.field for item in protocol if item.blocks]
    names += [guard.name for guard in struck if not guard.accepted]
    if not names or NEVER_ACCEPTED.intersection(names):
        return ""
    return "to compare all the same, on the record: " + " ".join(f"--accept {name}" for name in dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Summary:
    """Several rows in one line, Holm-corrected at 5 %.

    Attributes:
        line: In plain words.
        outcome: "reproduced" when every comparable row is, "not reproduced" when one is not, else "inconclusive"; "not
            comparable" when no row is comparable.
        equivalent: Holm-adjusted p-value of "reproduced" per row, NaN where not comparable.
        different: The same for "not reproduced".
    """

    line: str
    outcome: Outcome
    equivalent: tuple[float, ...]
    different: tuple[float, ...]


def summarise(verdicts: Sequence[Verdict]) -> Summary:
    """Sums up the rows: no row is called reproduced or not reproduced that only luck among many rows made so."""
    same = holm([verdict.p_equivalent for verdict in verdicts])
    far = holm([verdict.p_different for verdict in verdicts])
    comparable = sum(not math.isnan(p) for p in same)
    reproduced = sum(p < ALPHA for p in same)
    refuted = sum(p < ALPHA for p in far)
    if not comparable:
        return Summary(f"none of {len(verdicts)} rows is comparable", "not comparable", tuple(same), tuple(far))
    outcome: Outcome = "not reproduced" if refuted else "reproduced" if reproduced == comparable else "inconclusive"
    parts = [
        f"{reproduced} reproduced",
        f"{refuted} not reproduced",
        f"{comparable - reproduced - refuted} inconclusive",
    ]
    if comparable < len(verdicts):
        parts.append(f"{len(verdicts) - comparable} not comparable")
    note = " (Holm over rows, 5 %)" if comparable > 1 else ""
    return Summary(f"{', '.join(parts)} of {len(verdicts)}{note}", outcome, tuple(same), tuple(far))
