"""The regression gate: has a held-out score dropped, beyond the margin and beyond chance?"""

import math
from collections.abc import Mapping
from typing import Any

from scipy import stats

from harness.statistics import Counts, Paired, holm, paired
from reference_trainer.gates.record import Check
from reference_trainer.gates.scores import DomainScore
from reference_trainer.recipe import GateConfig


def compare(
    now: Mapping[str, DomainScore], before: Mapping[str, Mapping[str, Any]], settings: GateConfig, against: str
) -> tuple[list[Check], dict[str, Any]]:
    """Holds scores against earlier ones of the same problems.

    For each domain the drop d is the mean over problems of (rate before - rate now), with the paired standard error
    (Miller, arXiv 2411.00640, section 4.2), and p is that of the one-sided t test of "d <= margin". Red is a domain
    whose p, adjusted by Holm's method over the domains, is below alpha; its d then exceeds the margin.

    Args:
        now: Domain -> score.
        before: Domain -> score as in ``gate.json``.
        settings: Margin (points) and alpha.
        against: What ``before`` is, in words and as a part of a check's name.

    Returns:
        One check a domain, and what ``gate.json`` records of each comparison.
    """
    shared = [domain for domain in now if domain in before]
    checks = [
        Check(
            f"scores.{against}.{domain}",
            False,
            "other problems or sampling",
            "scores of the same problems, sampled in the same way",
            "record a new baseline with ringlite train baseline, and say why the protocol changed",
        )
        for domain in shared
        if not _comparable(now[domain], before[domain])
    ]
    shared = [domain for domain in shared if _comparable(now[domain], before[domain])]
    margin = settings.margin / 100
    results = {domain: _drop(now[domain], before[domain], margin) for domain in shared}
    adjusted = holm([results[domain]["p_value"] for domain in shared])
    for domain, p in zip(shared, adjusted, strict=True):
        result = results[domain]
        result["p_holm"] = p
        points = -100 * result["difference"]
        red = p < settings.alpha and points > settings.margin
        checks.append(
            Check(
                f"scores.{against}.{domain}",
                not red,
                round(100 * now[domain].score, 3),
                f"no drop beyond {settings.margin:g} points from {100 * result['score']:.1f} (p >= {settings.alpha:g})",
                f"dropped by {points:.1f} points, p = {p:.2g}: look at reward, entropy and length in metrics.jsonl and "
                "at what changed in recipe and code; where the drop is meant, record a new baseline"
                if red
                else "",
            )
        )
    return checks, results


def drop(now: Counts, then: Counts, margin: float) -> tuple[Paired, float]:
    """The paired comparison of now with then, and the one-sided p-value of "then - now <= margin" (shares of 1)."""
    result = paired(now, then)
    beyond = -result.difference - margin
    if not result.se:  # every problem drops by the same share, and neither run varies within one
        return result, 0.0 if beyond > 0 else 1.0
    return result, float(stats.t.sf(beyond / result.se, result.problems - 1))


def check_bounds(
    scores: Mapping[str, float], floors: Mapping[str, float], ceilings: Mapping[str, float]
) -> list[Check]:
    """Floors that a share of 1 has to reach, and ceilings it must stay below, both in points."""
    checks = []
    for domain, floor in floors.items():
        value = 100 * scores.get(domain, math.nan)
        detail = "" if value >= floor else f"{floor - value:.1f} points short: train longer, or look at its rewards"
        checks.append(Check(f"scores.floor.{domain}", value >= floor, _number(value), f"at least {floor:g}", detail))
    for domain, ceiling in ceilings.items():
        value = 100 * scores.get(domain, math.nan)
        detail = "" if value < ceiling else f"{value - ceiling:.1f} points above: distil less, or make the toy harder"
        checks.append(Check(f"scores.ceiling.{domain}", value < ceiling, _number(value), f"below {ceiling:g}", detail))
    return checks


def _number(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _shared(now: DomainScore, before: Mapping[str, Any]) -> list[str]:
    return [name for name in now.correct if name in before["correct"]]


def _comparable(now: DomainScore, before: Mapping[str, Any]) -> bool:
    return now.task == before["task"] and now.scorer == before["scorer"] and len(_shared(now, before)) >= 2


def _drop(now: DomainScore, before: Mapping[str, Any], margin: float) -> dict[str, Any]:
    ids = _shared(now, before)
    then = Counts.of([before["correct"][name] for name in ids], [before["drawn"][name] for name in ids])
    result, p_value = drop(now.counts(ids), then, margin)
    return {
        "score": before["score"],
        "difference": result.difference,
        "se": result.se,
        "p_value": p_value,
        "margin": margin,
        "problems": len(ids),
    }
