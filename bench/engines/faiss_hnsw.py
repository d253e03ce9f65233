"""FAISS IndexHNSWFlat. build: m, efConstruction; search: ef."""
from protocol import Engine, Session, serve


class Hnsw(Engine):
    def prepare(self, items, work):
        import faiss
        self.faiss = faiss
        faiss.omp_set_num_threads(self.threads)

    def build(self, items, params):
        metric = self.faiss.METRIC_INNER_PRODUCT if self.metric == "cosine" else self.faiss.METRIC_L2
        self.index = self.faiss.IndexHNSWFlat(items.shape[1], params["m"], metric)
        self.index.hnsw.efConstruction = params["efConstruction"]
        self.index.add(items)

    def search(self, queries, params, rows):
        self.index.hnsw.efSearch = max(params["ef"], self.k)
        return self.index.search(queries, self.k)[1]


serve(Session(Hnsw()))
