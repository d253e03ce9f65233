"""The judge against brute force on tiny tables: `npm run bench -- --self-test`."""
import numpy as np
import truth as module
from score import recall
from truth import distances, sample_rows, truth

module.BLOCK = 97


def brute(items, queries, rows, metric, k):
    asked = items if queries is None else queries
    neighbors, found = [], []
    for row in rows:
        d = distances(asked[row].astype(np.float64), items.astype(np.float64), metric)
        if queries is None:
            d[row] = np.inf
        order = np.lexsort((np.arange(len(items)), d))[:k]
        neighbors.append(order)
        found.append(d[order])
    return np.array(neighbors), np.array(found)


def tables(rng):
    plain = rng.standard_normal((700, 24)).astype(np.float32)
    yield "gaussian", plain
    yield "duplicates", plain[rng.integers(0, 200, 700)]
    yield "far from the origin", plain + np.float32(3_000)
    yield "a few long rows", plain * np.where(rng.random((700, 1)) < 0.02, 5_000, 1).astype(np.float32)
    yield "small integers", rng.integers(0, 3, (700, 24)).astype(np.float32) + (np.arange(24) == 0)


def main():
    rng = np.random.default_rng(5)
    checks = 0
    for name, items in tables(rng):
        for metric in ("l2", "cosine"):
            for queries in (None, items[::7] + rng.standard_normal((100, 24)).astype(np.float32) * np.float32(0.1)):
                rows = sample_rows(len(items if queries is None else queries), 60, 1)
                expected = brute(items, queries, rows, metric, 10)
                got = truth(items, queries, rows, metric, 10)
                assert np.array_equal(expected[0], got[0]), (name, metric)
                assert np.array_equal(expected[1], got[1]), (name, metric)
                perfect, _ = recall(items, queries, rows, got[0], got[1], metric)
                assert perfect == 1, (name, metric, perfect)
                twice = got[0].copy()
                twice[:, 5:] = twice[:, :5]
                half, _ = recall(items, queries, rows, twice, got[1], metric)
                assert half == 0.5, (name, metric, half)
                if queries is None:
                    itself = np.column_stack([rows, got[0]])
                    assert recall(items, None, rows, itself, got[1], metric)[0] == 1, (name, metric)
                far = np.full_like(got[0], -1)
                assert recall(items, queries, rows, far, got[1], metric) == (0, 0), (name, metric)
                checks += 1
    assert len(sample_rows(5, 10, 1)) == 5 and len(np.unique(sample_rows(1_000, 10, 1))) == 10
    print(f"judge: {checks} tables agree with brute force")


main()
