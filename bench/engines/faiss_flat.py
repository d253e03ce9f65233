"""FAISS IndexFlatL2 (IndexFlatIP for cosine): every query against every item."""
from protocol import Engine, Session, serve


class Flat(Engine):
    def prepare(self, items, work):
        import faiss
        self.faiss = faiss
        faiss.omp_set_num_threads(self.threads)

    def build(self, items, params):
        dim = items.shape[1]
        self.index = self.faiss.IndexFlatIP(dim) if self.metric == "cosine" else self.faiss.IndexFlatL2(dim)
        self.index.add(items)

    def search(self, queries, params, rows):
        return self.index.search(queries, self.k)[1]


serve(Session(Flat()))
