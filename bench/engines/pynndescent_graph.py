"""pynndescent. A self join is its own graph, so that building is all there is; queries search the prepared index.
build: nNeighbors, and maxCandidates, numTrees, numIters where they are not the library's defaults; search: epsilon.
Numba compiles on a small table before the clocks start."""
import numpy as np
from protocol import Engine, Session, serve


class Graph(Engine):
    def prepare(self, items, work):
        import pynndescent
        self.make = pynndescent.NNDescent
        small = items[:2_000]
        self.build(small, {"nNeighbors": self.k + 5})
        self.search(small[:100], {"epsilon": 0.1}, np.arange(100))

    def build(self, items, params):
        names = {"maxCandidates": "max_candidates", "numTrees": "n_trees", "numIters": "n_iters", "delta": "delta"}
        more = {names[name]: value for name, value in params.items() if name in names}
        metric = "euclidean" if self.metric == "l2" else self.metric
        self.index = self.make(items, metric, n_neighbors=params["nNeighbors"], random_state=1, n_jobs=self.threads, **more)
        if not self.self_join:
            self.index.prepare()

    def search(self, queries, params, rows):
        if not self.self_join:
            return self.index.query(queries, k=self.k, epsilon=params["epsilon"])[0]
        graph = self.index.neighbor_graph[0][:, : self.k]
        return graph if rows is None else graph[rows]


serve(Session(Graph()))
