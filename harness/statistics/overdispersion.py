"""A/A: do repeated runs of the same thing differ by more than sampling explains?

A harness whose repeated runs differ by more has a hidden source of variation (a changing prompt, a shared seed, a
cache, a grader that depends on load), and its SE_samp is too small.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError

from .accuracy import NAN, avg_at_n
from .counts import Counts, FloatArray, IntArray
from .distributions import chi_square_above


@dataclass(frozen=True, slots=True)
class Overdispersion:
    """The result of an A/A comparison of R runs.

    Attributes:
        runs: R.
        scores: avg@n of each run, shape (R,).
        per_problem: Squared deviations of c_ir from their share of the problem's total, over the same sum expected
            when the samples of a problem are exchangeable between runs: 1 without overdispersion; NaN when no problem
            varies.
        between_runs: The same for the run means: 1 when they differ as sampling predicts.
        p_per_problem: Monte-Carlo permutation p-value of ``per_problem``.
        p_between_runs: The same for ``between_runs``.
    """

    runs: int
    scores: FloatArray
    per_problem: float
    between_runs: float
    p_per_problem: float
    p_between_runs: float


def overdispersion(runs: Sequence[Counts], *, draws: int = 2000, seed: int = 0) -> Overdispersion:
    """Tests repeated runs over the same problems for variation beyond sampling.

    Given the total K_i of a problem, c_ir is hypergeometric: mean n_ir K_i/N_i, variance
    n_ir K_i/N_i (1 - K_i/N_i) (N_i - n_ir)/(N_i - 1). p-values come from ``draws`` reassignments of the samples to the
    runs under ``seed``: (1 + number as extreme) / (1 + draws). Source: Fisher's permutation argument for binomial
    counts; the ratio is the classical index of dispersion with its exact expectation.
    """
    if len(runs) < 2:
        raise UsageError("an A/A comparison needs at least 2 runs")
    if len({run.problems for run in runs}) != 1:
        raise UsageError("an A/A comparison needs the same problems in every run")
    scores = np.array([avg_at_n(run) for run in runs])
    c = np.stack([run.correct for run in runs], axis=1)
    n = np.stack([run.samples for run in runs], axis=1)
    total, drawn = c.sum(1), n.sum(1)
    varies = (total > 0) & (total < drawn)
    if not varies.any():
        return Overdispersion(len(runs), scores, NAN, NAN, NAN, NAN)
    c, n, total, drawn = c[varies], n[varies], total[varies], drawn[varies]
    share = (total / drawn)[:, None]
    variance = n * share * (1 - share) * (drawn[:, None] - n) / np.maximum(drawn[:, None] - 1, 1)
    # Every run mean is a sum of c_ir / n_ir over problems (the problems that never vary add the same to each run).
    run_variance = (variance / n**2).sum(0)

    def measure(counts: IntArray) -> tuple[float, float]:
        deviation = counts - n * share
        means = (deviation / n).sum(0)
        return float((deviation**2).sum() / variance.sum()), float((means**2).sum() / run_variance.sum())

    seen = measure(c)
    rng = np.random.default_rng(seed)
    shuffled = [measure(_reassign(rng, total, n)) for _ in range(draws)]
    p = [(1 + sum(draw[kind] >= seen[kind] * (1 - 1e-12) for draw in shuffled)) / (1 + draws) for kind in (0, 1)]
    return Overdispersion(len(runs), scores, seen[0], seen[1], p[0], p[1])


def _reassign(rng: np.random.Generator, total: IntArray, n: IntArray) -> IntArray:
    """Deals the right answers of each problem to the runs at random: a multivariate hypergeometric draw per row."""
    out = np.zeros_like(n)
    left, room = total.copy(), n.sum(1)
    for run in range(n.shape[1] - 1):
        room = room - n[:, run]
        out[:, run] = rng.hypergeometric(left, n[:, run] + room - left, n[:, run])
        left = left - out[:, run]
    out[:, -1] = left
    return out


def chi_square_of_runs(scores: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Cochran's Q = sum (A_r - A_w)^2 / SE_r^2 with the inverse-variance mean A_w, and its p-value on R - 1 degrees.

    For runs of which only scores and sampling errors are known. NaN for fewer than 2 runs or an error of 0.
    """
    a, se = np.asarray(scores, dtype=float), np.asarray(errors, dtype=float)
    if a.size < 2 or not np.all(se > 0):
        return NAN, NAN
    weight = 1 / se**2
    q = float(np.sum(weight * (a - np.sum(weight * a) / weight.sum()) ** 2))
    return q, chi_square_above(q, a.size - 1) if math.isfinite(q) else NAN
