"""usearch: HNSW in C++ with SIMD distances. build: m, efConstruction; search: ef."""
from protocol import Engine, Session, serve


class Usearch(Engine):
    def prepare(self, items, work):
        from usearch.index import Index
        self.make = Index

    def build(self, items, params):
        import numpy as np
        self.index = self.make(
            ndim=items.shape[1],
            # The vectors are normalized already, so inner product is cosine.
            metric="ip" if self.metric == "cosine" else "l2sq",
            dtype="f32",
            connectivity=params["m"],
            expansion_add=params["efConstruction"],
        )
        self.index.add(np.arange(len(items), dtype=np.uint64), items, threads=self.threads)

    def search(self, queries, params, rows):
        self.index.expansion_search = max(params["ef"], self.k)
        keys = self.index.search(queries, self.k, threads=self.threads).keys
        return keys.reshape(len(queries), -1)


serve(Session(Usearch()))
