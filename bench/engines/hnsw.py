"""hnswlib, compiled here by pip from its source with its own flags. build: m, efConstruction; search: ef."""
from protocol import Engine, Session, serve


class Hnsw(Engine):
    def prepare(self, items, work):
        import hnswlib
        self.hnswlib = hnswlib

    def build(self, items, params):
        # The vectors are normalized already, so inner product is cosine.
        self.index = self.hnswlib.Index("ip" if self.metric == "cosine" else "l2", items.shape[1])
        self.index.init_index(len(items), ef_construction=params["efConstruction"], M=params["m"], random_seed=100)
        self.index.set_num_threads(self.threads)
        self.index.add_items(items, num_threads=self.threads)

    def search(self, queries, params, rows):
        self.index.set_ef(max(params["ef"], self.k))
        return self.index.knn_query(queries, self.k, num_threads=self.threads)[0]


serve(Session(Hnsw()))
