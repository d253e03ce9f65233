"""Annoy as PySpark programs use it: one index built on the driver, sent to the workers as a file, searched row by row."""
import os
import time

import numpy as np
import pyarrow.parquet as pq
from annoy import AnnoyIndex
from pyspark import SparkFiles

THREADS = 2
# search_k: from one that finds little, in steps of a quarter.
GRID = [int(100 * 1.25**i) for i in range(40)]


def built(items, trees):
    """On the driver, read by pyarrow: Spark's own collect would take several times as long."""
    vectors = pq.read_table(items, columns=["vector"])["vector"].combine_chunks()
    matrix = vectors.flatten().to_numpy().reshape(len(vectors), -1)
    index = AnnoyIndex(matrix.shape[1], "euclidean")
    index.set_seed(1)
    for row, vector in enumerate(matrix):
        index.add_item(row, vector)
    index.build(trees, n_jobs=THREADS)
    return index


def tune(items, trees, k, vectors, sampled, target, directory, recall_of):
    """The least search_k of the grid that reaches the recall on the judge's own sample, and what the whole join should take."""
    begun = time.perf_counter()
    index = built(items, trees)
    build = time.perf_counter() - begun
    for search_k in GRID:
        begun = time.perf_counter()
        near = [index.get_nns_by_vector(vectors[row], k + 1, search_k) for row in sampled]
        search = (time.perf_counter() - begun) * len(vectors) / len(sampled) / THREADS
        found = [np.array([n for n in one if n != row][:k], np.int64) for row, one in zip(sampled, near)]
        recall = recall_of(found)
        if recall >= target:
            return {"searchK": search_k, "recall": recall, "build": build, "estimate": build + search}
    raise ValueError(f"recall {recall:.3f} with search_k {GRID[-1]}")


def join(spark, items, trees, search_k, k, out, directory):
    begun = time.perf_counter()
    index = built(items, trees)
    path = os.path.join(directory, f"items-{trees}-{time.time_ns()}.ann")
    index.save(path)
    dim, name = index.f, os.path.basename(path)
    index.unload()
    build = time.perf_counter() - begun

    # Nested, so that it travels by value: tasks cannot import this module. Annoy's class does not travel.
    def search(rows):
        from annoy import AnnoyIndex
        index = AnnoyIndex(dim, "euclidean")
        index.load(SparkFiles.get(name))
        for row in rows:
            near, far = index.get_nns_by_vector(row.vector, k + 1, search_k, include_distances=True)
            pairs = [(n, d) for n, d in zip(near, far) if n != row.id][:k]
            yield row.id, [n for n, _ in pairs], [d for _, d in pairs]

    spark.sparkContext.addFile(path)
    rows = spark.read.parquet(items).rdd.mapPartitions(search)
    schema = "id bigint, neighbors array<bigint>, distances array<double>"
    spark.createDataFrame(rows, schema).write.parquet(out)
    return {"seconds": time.perf_counter() - begun, "build": build}
