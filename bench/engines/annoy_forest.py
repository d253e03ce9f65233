"""Annoy, compiled here by pip from its source. build: numTrees; search: searchK. It takes and answers one vector a call, and its search
holds Python's lock: more threads build the trees, and do not search."""
import numpy as np
from protocol import Engine, Session, serve


class Forest(Engine):
    def prepare(self, items, work):
        from annoy import AnnoyIndex
        self.make = AnnoyIndex

    def build(self, items, params):
        # On unit vectors the Euclidean order is the cosine order.
        self.index = self.make(items.shape[1], "euclidean")
        self.index.set_seed(1)
        for row, vector in enumerate(items):
            self.index.add_item(row, vector)
        self.index.build(params["numTrees"], n_jobs=self.threads)

    def search(self, queries, params, rows):
        k, search_k = self.k, params["searchK"]
        if self.self_join:
            ask, every = self.index.get_nns_by_item, range(len(queries)) if rows is None else rows.tolist()
        else:
            ask, every = self.index.get_nns_by_vector, queries
        found = np.full((len(queries), k), -1, np.int64)
        for i, query in enumerate(every):
            near = ask(query, k, search_k)
            found[i, : len(near)] = near
        return found


serve(Session(Forest()))
