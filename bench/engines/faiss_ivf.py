"""FAISS inverted lists. build: nlist, and pq (subquantizers) for 4-bit fast-scan codes; search: nprobe, and refine (how many times k are
re-ranked by the float vectors) with pq. Training has FAISS's own defaults: at most 256 rows a list."""
from protocol import Engine, Session, serve


class Ivf(Engine):
    def prepare(self, items, work):
        import faiss
        self.faiss = faiss
        faiss.omp_set_num_threads(self.threads)

    def build(self, items, params):
        pq = self.pq = params.get("pq")
        factory = f"IVF{params['nlist']}," + (f"PQ{pq}x4fs,RFlat" if pq else "Flat")
        kind = self.faiss.METRIC_INNER_PRODUCT if self.metric == "cosine" else self.faiss.METRIC_L2
        self.index = self.faiss.index_factory(items.shape[1], factory, kind)
        self.index.train(items)
        self.index.add(items)

    def code_bytes(self):
        # 4 bits a subquantizer, and the 64-bit id of its lists.
        return self.pq / 2 + 8 if self.pq else None

    def search(self, queries, params, rows):
        f = self.faiss
        lists = f.SearchParametersIVF(nprobe=params["nprobe"])
        if "refine" in params:
            lists = f.IndexRefineSearchParameters(k_factor=params["refine"], base_index_params=lists)
        return self.index.search(queries, self.k, params=lists)[1]


serve(Session(Ivf()))
