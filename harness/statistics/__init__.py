"""Errors, intervals and tests of benchmark scores: pure functions, each with its formula and source.

Scores are shares of 1. A figure that is undefined is NaN, never 0 or 1.
"""

from .accuracy import Interval, avg_at_n, sampling_interval, se_samp, se_total, total_interval, within_variance
from .clusters import clustered_interval, se_clustered
from .counts import Counts
from .equivalence import (
    Equivalence,
    difference_error,
    equivalence,
    holm,
    power_factor,
    samples_needed,
    smallest_margin,
)
from .overdispersion import Overdispersion, chi_square_of_runs, overdispersion
from .paired import Paired, paired
from .passk import g_pass_at_k, mg_pass_at_k, pass_at_k, pass_at_k_per_problem

__all__ = [
    "Counts",
    "Equivalence",
    "Interval",
    "Overdispersion",
    "Paired",
    "avg_at_n",
    "chi_square_of_runs",
    "clustered_interval",
    "difference_error",
    "equivalence",
    "g_pass_at_k",
    "holm",
    "mg_pass_at_k",
    "overdispersion",
    "paired",
    "pass_at_k",
    "pass_at_k_per_problem",
    "power_factor",
    "samples_needed",
    "sampling_interval",
    "se_clustered",
    "se_samp",
    "se_total",
    "smallest_margin",
    "total_interval",
    "within_variance",
]
