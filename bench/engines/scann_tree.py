"""ScaNN: a tree of leaves, asymmetric hashing, re-ranking by the float vectors.
build: numLeaves, dimsPerBlock; search: leaves (to search), reorder (how many are re-ranked)."""
from protocol import Engine, Session, serve


class Scann(Engine):
    def prepare(self, items, work):
        from scann import scann_ops_pybind
        self.scann = scann_ops_pybind

    def build(self, items, params):
        # 4 bits a block of dimensions, and the 32-bit number of a leaf's row.
        self.bytes = -(-items.shape[1] // params["dimsPerBlock"]) / 2 + 4
        metric = "dot_product" if self.metric == "cosine" else "squared_l2"
        builder = self.scann.builder(items, self.k, metric).set_n_training_threads(self.threads)
        leaves = params["numLeaves"]
        sample = min(len(items), max(100 * leaves, 100_000))
        builder = builder.tree(num_leaves=leaves, num_leaves_to_search=10, training_sample_size=sample)
        threshold = 0.2 if metric == "dot_product" else float("nan")
        builder = builder.score_ah(params["dimsPerBlock"], anisotropic_quantization_threshold=threshold)
        self.index = builder.reorder(10 * self.k).build()
        if self.threads > 1:
            self.index.set_num_threads(self.threads)

    def code_bytes(self):
        return self.bytes

    def search(self, queries, params, rows):
        ask = self.index.search_batched_parallel if self.threads > 1 else self.index.search_batched
        return ask(queries, leaves_to_search=params["leaves"], pre_reorder_num_neighbors=params["reorder"])[0]


serve(Session(Scann()))
