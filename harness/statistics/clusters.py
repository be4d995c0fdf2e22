"""The error over problems when some problems belong together (one item in two languages, several parts of one text)."""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from harness.errors import UsageError

from .accuracy import NAN, Interval, avg_at_n
from .counts import Counts
from .distributions import t_quantile


def se_clustered(counts: Counts, clusters: Sequence[Hashable]) -> float:
    """Cluster-robust SE_total: sqrt( G/(G-1) sum_g ( sum_{i in g} (p_i - A) )^2 ) / P over G clusters.

    Source: the cluster-robust (Liang-Zeger) variance of a mean, with the G/(G-1) correction; with one problem a cluster
    it is exactly SE_total. NaN for fewer than 2 clusters.
    """
    sums = _cluster_sums(counts, clusters)
    groups = sums.size
    if groups < 2:
        return NAN
    return math.sqrt(groups / (groups - 1) * float(np.sum(sums**2))) / counts.problems


def clustered_interval(counts: Counts, clusters: Sequence[Hashable], level: float = 0.95) -> Interval:
    """A +- t_{G-1} times the clustered error, cut to [0, 1]; NaN for fewer than 2 clusters."""
    groups = len(set(clusters))
    error = se_clustered(counts, clusters)
    if math.isnan(error):
        return Interval(NAN, NAN, level)
    half = t_quantile((1 + level) / 2, groups - 1) * error
    centre = avg_at_n(counts)
    return Interval(max(0.0, centre - half), min(1.0, centre + half), level)


def _cluster_sums(counts: Counts, clusters: Sequence[Hashable]) -> np.ndarray:
    if len(clusters) != counts.problems:
        raise UsageError(f"{len(clusters)} cluster labels for {counts.problems} problems; give one label a problem")
    labels = {label: number for number, label in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros(len(labels))
    np.add.at(sums, [labels[label] for label in clusters], counts.rates - avg_at_n(counts))
    return sums
