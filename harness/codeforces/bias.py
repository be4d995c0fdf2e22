"""How far the Elo formula lies from Codeforces' own performance, measured on real rounds."""

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.codeforces.contest import StandingsRow
from harness.codeforces.rating import expected_rating, performances, rating_changes
from harness.codeforces.score import rank_of


@dataclass(frozen=True, slots=True)
class RoundBias:
    """One round.

    Attributes:
        participants: Size of the round.
        changes_reproduced: Share of rating changes that our copy of Codeforces' rules gives exactly.
        performances_reproduced: Share of the stored performances (of those sampled) that it gives exactly.
        sampled: Contestants on whom the bias was measured; each was taken out of the field and rated as a model.
        median, lower, upper: Median and quartiles of formula minus stored performance, rating points.
    """

    round: str
    participants: int
    changes_reproduced: float
    performances_reproduced: float
    sampled: int
    median: float
    lower: float
    upper: float


def measure_round(name: str, rows: Sequence[Mapping[str, Any]], sample: int, seed: int) -> RoundBias:
    """Measures one round of ``load_rounds``; rows need ``delta`` and ``performance``.

    Args:
        name: Of the round.
        rows: Its participants.
        sample: How many of them are rated as if they were a model, drawn without replacement.
        seed: Of that draw.
    """
    results = [(row["points"], row["penalty"]) for row in rows]
    ratings = [row["rating"] for row in rows]
    changes = rating_changes(results, ratings)
    finite = [i for i, row in enumerate(rows) if math.isfinite(row["performance"])]
    drawn = sorted(random.Random(seed).sample(finite, min(sample, len(finite))))
    own = performances(results, ratings, only=drawn)
    standings = [StandingsRow(points=row["points"], penalty=row["penalty"], rating=row["rating"]) for row in rows]
    differences = []
    for i in drawn:
        others = standings[:i] + standings[i + 1 :]
        rank = rank_of(rows[i]["points"], rows[i]["penalty"], others)
        differences.append(expected_rating(rank, [row.rating for row in others]) - rows[i]["performance"])
    lower, median, upper = statistics.quantiles(differences, n=4)
    return RoundBias(
        round=name,
        participants=len(rows),
        changes_reproduced=sum(c == row["delta"] for c, row in zip(changes, rows, strict=True)) / len(rows),
        performances_reproduced=sum(p == rows[i]["performance"] for p, i in zip(own, drawn, strict=True)) / len(drawn),
        sampled=len(drawn),
        median=median,
        lower=lower,
        upper=upper,
    )
