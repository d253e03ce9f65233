"""Made the files beside it with Annoy 1.17.3 (pip install annoy==1.17.3 numpy): 60 ids, 17 of them a hole, 3 and 4 twins, 9 zeros.

A line of METRIC.txt is one question and Annoy's answer: the query's numbers, then k and search_k, then ids and distances,
the three parts separated by bars.
"""

import numpy as np
from annoy import AnnoyIndex

for metric, dim in [("angular", 5), ("euclidean", 5), ("manhattan", 5), ("dot", 5), ("hamming", 70)]:
    rng = np.random.default_rng(dim)
    items = rng.standard_normal((60, dim)).astype(np.float32)
    queries = rng.standard_normal((6, dim)).astype(np.float32)
    if metric == "hamming":
        items, queries = [(x > 0).astype(np.float32) for x in (items, queries)]
    items[4], items[9], queries[4], queries[5] = items[3], 0, items[3], 0
    index = AnnoyIndex(dim, metric)
    index.set_seed(42)
    for id in range(60):
        if id != 17:
            index.add_item(id, items[id])
    index.build(3, n_jobs=1)
    index.save(f"{metric}.ann")
    with open(f"{metric}.txt", "w") as out:
        for query in queries:
            for k, search_k in [(1, -1), (5, 12), (10, -1), (100, 10000)]:
                found = index.get_nns_by_vector(query, k, search_k, include_distances=True)
                pairs = " ".join(f"{id} {float(np.float32(d))!r}" for id, d in zip(*found))
                print(" ".join(repr(float(x)) for x in query), "|", k, search_k, "|", pairs, file=out)
