"""What every engine speaks: one line of JSON in, one line of JSON out, until stdin ends.

load    {items, queries, k, metric, threads, batch, work}   items and queries: {npy, parquet, rows, dim}; queries is null in a self join
build   {params}                                            -> {wall, cpu, peakBytes}, and codeBytes where there are codes
search  {params, rows, out}                                 -> {wall, cpu, peakBytes, calls}
        rows: .npy with the query rows to ask, null for all; out: .npy to write, a row of item rows for each query

A self join asks for k + 1 neighbors: the judge drops the row itself. Only the library's own work is inside the clocks: reading,
normalizing and saving are not. With `batch` the queries are asked that many at a time.
"""
import json
import os
import resource
import sys
import time
import traceback

import numpy as np


class Engine:
    """A rival: build(items, params) once, search(queries, params, rows) many times. k counts the row itself in a self join."""

    k = 0
    metric = "l2"
    threads = 1
    self_join = False

    def prepare(self, items, work):
        """Imports and compiles, outside the clocks; `work` is a folder. Raises where the library cannot be used."""

    def build(self, items, params):
        raise NotImplementedError

    def code_bytes(self):
        """What the index keeps of a row to compare, beside the vector itself; None where that is nothing of its own."""

    def search(self, queries, params, rows):
        raise NotImplementedError


def vectors(side, metric):
    stored = np.load(side["npy"], mmap_mode="r")[: side["rows"]]
    a = np.array(stored, dtype=np.float32, order="C")
    if metric == "cosine":
        a /= np.linalg.norm(a, axis=1, keepdims=True)
    return a


def peak_bytes(who=resource.RUSAGE_SELF):
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def clocked(work):
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peakBytes": peak_bytes()}


class Session:
    def __init__(self, engine):
        self.engine = engine

    def load(self, task):
        e = self.engine
        e.self_join = task["queries"] is None
        e.k, e.metric, e.threads = task["k"] + e.self_join, task["metric"], task["threads"]
        self.batch = task["batch"]
        self.items = vectors(task["items"], e.metric)
        self.queries = self.items if e.self_join else vectors(task["queries"], e.metric)
        e.prepare(self.items, task["work"])
        return {}

    def build(self, task):
        cost = clocked(lambda: self.engine.build(self.items, task["params"]))[1]
        code_bytes = self.engine.code_bytes()
        return cost if code_bytes is None else {**cost, "codeBytes": code_bytes}

    def search(self, task):
        rows = None if task["rows"] is None else np.load(task["rows"])
        queries = self.queries if rows is None else self.queries[rows]
        step = self.batch or len(queries)
        parts = [queries[i:i + step] for i in range(0, len(queries), step)]

        def work():
            return [self.engine.search(part, task["params"], rows) for part in parts]
        found, cost = clocked(work)
        np.save(task["out"], np.concatenate([np.asarray(f) for f in found]).astype(np.int64))
        return {**cost, "calls": len(parts)}


def serve(session):
    # Libraries print to stdout as they like: the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = getattr(session, task.pop("op"))(task)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
