"""One run against another: the protocols, the difference problem by problem, and the verdict at the card's margin.

All figures in points (percent).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.scoring_results import Row
from harness.scoring_types import Score
from harness.statistics import (
    Counts,
    Equivalence,
    Interval,
    Overdispersion,
    Paired,
    equivalence,
    overdispersion,
    paired,
)
from harness.verdict import Outcome, reasons
from harness.verdict_guards import Guard, guards
from harness.verdict_protocol import FieldComparison, against_run

DEFAULT_MARGIN = 3.0


@dataclass(frozen=True, slots=True)
class RunComparison:
    """One benchmark in two runs; differences are "other minus base", in points.

    Attributes:
        benchmark: Name of the card.
        title: As it is printed.
        outcome: "reproduced" and so on, of the base run by the other; "not comparable" when a protocol field differs
            or a guard strikes on either side.
        reason: One line in plain words.
        problems: Problems that both runs have.
        test: The two one-sided tests with the error of new samples; None when not comparable.
        pair: The paired comparison over shared problems; None without any.
        margin: delta.
        protocol: Field by field; "ours" is the other run, "theirs" the base.
        guards: Guards that struck, on either side.
        swings: Problems with the largest differences: (id, base rate, other rate), in shares of 1.
    """

    benchmark: str
    title: str
    outcome: Outcome
    reason: str
    problems: int
    test: Equivalence | None
    pair: Paired | None
    margin: float
    protocol: tuple[FieldComparison, ...]
    guards: tuple[Guard, ...]
    swings: tuple[tuple[str, float, float], ...]

    @property
    def difference(self) -> float:
        """In points; NaN without shared problems."""
        return 100 * self.pair.difference if self.pair else math.nan


def compare(base: Row, other: Row, accept: Iterable[str] = ()) -> RunComparison:
    """Holds a run's benchmark against the same benchmark of a base run; only problems that both have are counted."""
    accepted = tuple(accept)
    fields = tuple(against_run(other.protocol, base.protocol, accepted))
    struck = tuple(
        Guard(guard.name, f"{side}: {guard.reason}", guard.accepted)
        for side, row in (("base run", base), ("other run", other))
        for guard in guards(row.score, row.protocol.get("temperature"), accepted)
    )
    names, a, b = shared(base.score, other.score)
    pair = paired(b, a) if names else None
    margin = base.card.margin if base.card else DEFAULT_MARGIN
    blocked = reasons(fields, struck)
    if pair is None:
        blocked.append("the runs share no graded problem")
    swings = sorted(zip(names, a.rates, b.rates, strict=True), key=lambda row: -abs(row[1] - row[2]))[:12]
    test = None
    if blocked or pair is None:
        outcome: Outcome = "not comparable"
        reason = "; ".join(blocked)
    else:
        test = equivalence(100 * pair.difference, 100 * pair.se_samp, margin)
        outcome = test.outcome
        reason = _told(test, pair, margin)
    return RunComparison(
        benchmark=base.score.benchmark,
        title=base.title,
        outcome=outcome,
        reason=reason,
        problems=len(names),
        test=test,
        pair=pair,
        margin=margin,
        protocol=fields,
        guards=struck,
        swings=tuple((name, float(x), float(y)) for name, x, y in swings if x != y),
    )


def shared(base: Score, other: Score) -> tuple[list[str], Counts, Counts]:
    """Ids of the problems graded in both, and both sides' counts in that order."""
    theirs = {problem.id: problem for problem in other.per_problem if problem.samples}
    pairs = [(p, theirs[p.id]) for p in base.per_problem if p.samples and p.id in theirs]
    a = Counts.of([p.correct for p, _ in pairs], [p.samples for p, _ in pairs])
    b = Counts.of([q.correct for _, q in pairs], [q.samples for _, q in pairs])
    return [p.id for p, _ in pairs], a, b


def repeated(rows: Sequence[Row]) -> Overdispersion | None:
    """A/A over runs of one model and one protocol; None where they are not that, or share no problem."""
    first = rows[0]
    if any(item.state == "differs" for row in rows[1:] for item in against_run(row.protocol, first.protocol)):
        return None
    common = set.intersection(*({p.id for p in row.score.per_problem if p.samples} for row in rows))
    kept = [[p for p in row.score.per_problem if p.id in common] for row in rows]
    kept = [sorted(problems, key=lambda problem: problem.id) for problems in kept]
    if not common:
        return None
    return overdispersion([Counts.of([p.correct for p in ps], [p.samples for p in ps]) for ps in kept])


def _told(test: Equivalence, pair: Paired, margin: float) -> str:
    span: Interval = test.interval
    words = {
        "reproduced": "lies inside",
        "not reproduced": "lies outside",
        "inconclusive": "crosses",
    }[test.outcome]
    better = ""
    if pair.p_value < 0.05:
        word = "better" if pair.difference > 0 else "worse"
        better = f"; on problems like these the other run is {word} (paired, 95 %)"
    reach = f"{span.low:+.2f} to {span.high:+.2f}"
    return f"the 90 % interval of the difference, {reach}, {words} the margin of ±{margin:g}{better}"
