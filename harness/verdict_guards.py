"""Guards: what makes a score unfit for a verdict although the protocol on paper is the same."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.scoring_types import Score

# Above these shares the score is about the token limit or the answer format, not about the model's reasoning.
TRUNCATED_LIMIT = 0.10
NO_ANSWER_LIMIT = 0.10
REPEATED_LIMIT = 0.10
GUARDS = ("problems", "ungraded", "identical_samples", "temperature", "truncated", "no_answer")


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard that struck: its name (as ``--accept`` takes it), the reason, and whether the user accepts it."""

    name: str
    reason: str
    accepted: bool = False


def guards(score: Score, temperature: float | None, accept: Iterable[str] = ()) -> tuple[Guard, ...]:
    """The guards that strike.

    Args:
        score: The score.
        temperature: Of the protocol; None if not known.
        accept: Guards that the user accepts ("problems" cannot be).
    """
    accepted = set(accept) - {"problems"}
    found = [*_completeness(score), *_repetition(score, temperature), *_shares(score)]
    return tuple(Guard(guard.name, guard.reason, guard.name in accepted) for guard in found)


def _completeness(score: Score) -> list[Guard]:
    found = []
    if score.problems < score.expected_problems:
        missing = score.expected_problems - score.problems
        found.append(Guard("problems", f"{missing} of {score.expected_problems} problems have no graded sample"))
    elif score.problems > score.expected_problems:
        found.append(Guard("problems", f"{score.problems} problems where {score.expected_problems} are expected"))
    if score.ungraded:
        found.append(Guard("ungraded", f"{score.ungraded} samples are not graded yet"))
    return found


def _repetition(score: Score, temperature: float | None) -> list[Guard]:
    if not score.repeatable_problems:
        return []
    if temperature == 0:
        return [Guard("temperature", f"at temperature 0 the {score.most} samples of a problem are one sample")]
    same, of = score.identical_problems, score.repeatable_problems
    if same == of:
        return [
            Guard(
                "temperature",
                f"all samples of {'the problem' if of == 1 else f'each of the {of} problems'} are the same text: "
                "the temperature was not applied, or every sample had the same seed",
            )
        ]
    if score.identical_long:
        return [
            Guard(
                "identical_samples",
                f"all samples are the same text in {same} of {of} problems: repeats are not samples (a fixed seed, or "
                "a cache in between)",
            )
        ]
    if score.repeated_long > REPEATED_LIMIT:
        share = score.repeated_long
        return [Guard("identical_samples", f"{share:.0%} of the long responses repeat another one of their problem")]
    return []


def _shares(score: Score) -> list[Guard]:
    found = []
    shares = score.shares
    if shares.truncated > TRUNCATED_LIMIT:
        found.append(
            Guard(
                "truncated",
                f"{shares.truncated:.1%} of the answers were cut at the token limit (at most {TRUNCATED_LIMIT:.0%}); "
                f"finished answers alone score {_points(score.finished_score)}",
            )
        )
    without = shares.no_answer if math.isnan(shares.no_answer_finished) else shares.no_answer_finished
    if without > NO_ANSWER_LIMIT:
        found.append(
            Guard(
                "no_answer",
                f"{without:.1%} of the {'' if math.isnan(shares.no_answer_finished) else 'finished '}responses hold no "
                f"answer (at most {NO_ANSWER_LIMIT:.0%})",
            )
        )
    return found


def _points(share: float) -> str:
    return "nothing" if math.isnan(share) else f"{100 * share:.2f}"
