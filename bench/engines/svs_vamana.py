"""Intel's Scalable Vector Search: a Vamana graph over float vectors, or over LVQ codes where `lvq` is set ("4x8": 4 bits and 8 of residual).
build: degree, window, alpha, lvq; search: window."""
import os

from protocol import Engine, Session, serve


class Vamana(Engine):
    def prepare(self, items, work):
        import svs
        self.svs = svs
        # LVQ codes are made from a file only: that reading is inside the clock.
        self.file = os.path.join(work, "items.fvecs")
        svs.write_vecs(items, self.file)

    def build(self, items, params):
        svs = self.svs
        alpha = params.get("alpha", 1.2)
        shape = svs.VamanaBuildParameters(alpha=alpha, graph_max_degree=params["degree"], window_size=params["window"])
        data = items
        if "lvq" in params:
            primary, residual = map(int, params["lvq"].split("x"))
            data = svs.LVQLoader(svs.VectorDataLoader(self.file, svs.DataType.float32), primary=primary, residual=residual)
        # On unit vectors the Euclidean order is the cosine order, and its pruning is the one that alpha is meant for.
        self.index = svs.Vamana.build(shape, data, svs.DistanceType.L2, num_threads=self.threads)
        self.index.num_threads = self.threads

    def search(self, queries, params, rows):
        self.index.search_window_size = max(params["window"], self.k)
        return self.index.search(queries, self.k)[0]


serve(Session(Vamana()))
