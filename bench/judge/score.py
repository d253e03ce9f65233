"""Recall of an engine's neighbors. Only the row numbers are believed: distances are computed again, in float64."""
import numpy as np
from truth import distances

SLACK = 1 + 1e-4
TINY = 1e-12


def recall(items, queries, rows, found, true_distances, metric):
    """Mean and standard error of the fraction of the k nearest that were found. found: item rows of each sampled row, -1 for none.

    A neighbor counts when it is no farther than the true k-th * (1 + 1e-4). One named twice counts once; the row itself, and
    whatever comes after the k-th, not at all.
    """
    self_join = queries is None
    asked = items if self_join else queries
    k = true_distances.shape[1]
    shares = np.zeros(len(rows))
    for i, row in enumerate(rows):
        near = found[i][(found[i] >= 0) & (found[i] < len(items))]
        if self_join:
            near = near[near != row]
        near = near[np.sort(np.unique(near, return_index=True)[1])][:k]
        d = distances(np.asarray(asked[row], np.float64), np.asarray(items[near], np.float64), metric)
        shares[i] = np.count_nonzero(d <= true_distances[i, -1] * SLACK + TINY) / k
    error = shares.std(ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else 0.0
    return float(shares.mean()), float(error)
