"""The exact k nearest of sampled query rows: a shortlist by float32 matrix products with a proven margin, then float64 direct differences.

Cosine is l2 on unit vectors: 1 - cos is half the squared distance. The makers leave out zero vectors.

The margin. Vectors are centered (and normalized for cosine) in float64 and rounded to float32, u = 2^-24. For rounded a and b with
s = |a| + |b| the computed |a|^2 + |b|^2 - 2 a.b is off by at most (d / 2 + 4) u s^2 in any order of summation; the rounding of the
vectors moves the squared distance by at most 3 u s^2. E = (d + 16) u s^2 is well over both. The true k-th is at most the k-th
computed + E, so each true neighbor is computed at most the k-th + 2 E.
"""
import numpy as np

BLOCK = 8_192
UNIT = 2.0**-24


def unit(a):
    return a / np.sqrt(np.einsum("ij,ij->i", a, a))[:, None]


def distances(q, items, metric):
    """Of one query to some items, all float64."""
    if metric == "cosine":
        q, items = unit(q[None])[0], unit(items)
    d = items - q
    squared = np.einsum("ij,ij->i", d, d)
    return squared / 2 if metric == "cosine" else np.sqrt(squared)


def rounded(a, center, metric):
    a = np.asarray(a, np.float64)
    a = unit(a) if metric == "cosine" else a
    return (a - center).astype(np.float32)


def norms(a):
    a = a.astype(np.float64)
    return np.sqrt(np.einsum("ij,ij->i", a, a))


def shortlists(items, queries, rows, metric, k, self_join):
    """For each sampled row the items that may be among its k nearest."""
    step = max(1, len(items) // 10_000)
    start = np.asarray(items[::step], np.float64)
    center = (unit(start) if metric == "cosine" else start).mean(0)
    q = rounded(queries[rows], center, metric)
    qn = norms(q)
    best = np.full((len(rows), k), np.inf)
    kept = [[] for _ in rows]
    biggest = 0.0
    for first in range(0, len(items), BLOCK):
        x = rounded(items[first:first + BLOCK], center, metric)
        xn = norms(x)
        biggest = max(biggest, xn.max())
        margin = 2 * (items.shape[1] + 16) * UNIT * (qn + biggest) ** 2
        r = (-2 * q) @ x.T
        r += (xn * xn).astype(np.float32)
        r += (qn * qn).astype(np.float32)[:, None]
        if self_join:
            mine = np.flatnonzero((rows >= first) & (rows < first + len(x)))
            r[mine, rows[mine] - first] = np.inf
        which, where = np.nonzero(r <= (best[:, -1] + margin)[:, None].astype(np.float32) * (1 + 1e-6))
        edges = np.flatnonzero(np.diff(which, prepend=-1))
        for a, b in zip(edges, np.append(edges[1:], len(which))):
            i, values = which[a], r[which[a], where[a:b]]
            best[i] = np.sort(np.concatenate([best[i], values]))[:k]
            kept[i].append((where[a:b] + first, values))
    margin = 2 * (items.shape[1] + 16) * UNIT * (qn + biggest) ** 2
    for i, parts in enumerate(kept):
        at, values = (np.concatenate(part) for part in zip(*parts))
        yield at[(values <= best[i, -1] + margin[i]) & np.isfinite(values)]


def truth(items, queries, rows, metric, k):
    """Rows of the items and distances, len(rows) x k. queries None: a self join, where a row is not its own neighbor."""
    self_join = queries is None
    asked = items if self_join else queries
    wanted = min(k, len(items) - self_join)
    neighbors, found = np.full((len(rows), wanted), -1, np.int64), np.full((len(rows), wanted), np.inf)
    for i, at in enumerate(shortlists(items, asked, rows, metric, wanted, self_join)):
        d = distances(np.asarray(asked[rows[i]], np.float64), np.asarray(items[at], np.float64), metric)
        order = np.lexsort((at, d))[:wanted]
        neighbors[i], found[i] = at[order], d[order]
    return neighbors, found


def sample_rows(total, sample, seed):
    if sample >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, sample, replace=False))
