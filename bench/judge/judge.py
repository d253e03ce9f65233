"""The judge: one line of JSON in, one out, like the engines.

truth   {items, queries, k, metric, sample, seed, out, probe}   finds the exact neighbors of sampled rows, or what out has already;
        writes beside it the rows to probe with: the sampled ones and others up to `probe`  -> {seconds, rows, probe}
score   {items, queries, metric, truth, found, rows}            -> {recall, standardError}; rows: .npy of the query rows that were asked, null for all
"""
import json
import os
import sys
import time

import numpy as np
from score import recall
from truth import sample_rows, truth


def matrix(side):
    return None if side is None else np.load(side["npy"], mmap_mode="r")[: side["rows"]]


def find_truth(task):
    items, queries, out = matrix(task["items"]), matrix(task["queries"]), task["out"]
    total = len(items if queries is None else queries)
    start = time.perf_counter()
    if not os.path.exists(out):
        rows = sample_rows(total, task["sample"], task["seed"])
        neighbors, distances = truth(items, queries, rows, task["metric"], task["k"])
        np.savez(out + ".part.npz", rows=rows, neighbors=neighbors, distances=distances)
        os.replace(out + ".part.npz", out)
    rows = np.load(out)["rows"]
    more = sample_rows(total, task["probe"], task["seed"] + 1)
    probe = np.union1d(rows, more[: max(0, task["probe"] - len(rows))] if len(more) < total else more)
    path = out.replace(".npz", "-probe.npy")
    np.save(path, np.random.default_rng(task["seed"]).permutation(probe))
    return {"seconds": time.perf_counter() - start, "sample": len(rows), "probe": path, "probeRows": len(probe)}


def score(task):
    known = np.load(task["truth"])
    rows = known["rows"]
    found = np.load(task["found"], mmap_mode="r")
    if task["rows"] is None:
        mine = found[rows]
    else:
        asked = np.load(task["rows"])
        order = np.argsort(asked)
        mine = found[order[np.searchsorted(asked[order], rows)]]
    value, error = recall(matrix(task["items"]), matrix(task["queries"]), rows, mine, known["distances"], task["metric"])
    return {"recall": value, "standardError": error}


def main():
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = {"truth": find_truth, "score": score}[task.pop("op")](task)
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)


main()
