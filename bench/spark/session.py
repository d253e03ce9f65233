"""One Spark local[2] that everyone shares: a PySpark driver whose JVM serves Spark Connect, too. One line of JSON in, one out.

prepare {npy, rows, path}                       writes the first rows as Parquet of float lists, finds the truth of a sample -> {threshold, dim}
score   {items, path}                            recall of a written join
annoy   {items, trees, searchK, out}            -> {seconds, build, search}
tune    {items, trees}                          the least search_k that reaches the recall on the sample -> {searchK, recall, build, estimate}
mllib   {items, threshold, bucketLength, numHashTables, seed, out} -> {seconds}
count   {path}                                  rows written -> {pairs}
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "judge"))

import annoy_rival
import mllib_rival
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from score import recall
from truth import sample_rows, truth

K, SAMPLE, ROW_GROUPS = 10, 500, 8
known = {}


def start(port, directory, memory):
    conf = {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.port": port,
        # As a server of Spark Connect has it: archives of a session are unpacked for its tasks.
        "spark.sql.artifact.isolation.enabled": "true",
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.warehouse.dir": os.path.join(directory, "warehouse"),
        "spark.local.dir": directory,
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in conf.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    # The first job of a JVM loads what every job needs.
    spark.range(1000).repartition(2).count()
    return spark


def prepare(spark, npy, rows, path):
    items = np.load(npy, mmap_mode="r")[:rows]
    if len(items) < rows:
        raise ValueError(f"{npy} has {len(items)} rows")
    schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32()))])
    dim = items.shape[1]
    offsets = pa.array(np.arange(0, rows * dim + 1, dim, dtype=np.int32))
    vectors = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(items, np.float32).ravel()))
    table = pa.table([pa.array(np.arange(rows)), vectors], schema=schema)
    pq.write_table(table, path, row_group_size=-(-rows // ROW_GROUPS))
    sampled = sample_rows(rows, SAMPLE, 1)
    _, distances = truth(items, None, sampled, "l2", K)
    known[path] = (items, sampled, distances)
    return {"threshold": float(np.median(distances[:, -1])), "dim": dim}


def score(spark, items, path):
    """A list of neighbors a row: numbers, or structs with one (nigh's)."""
    vectors, sampled, distances = known[items]
    table = ds.dataset(path, format="parquet").to_table(columns=["id", "neighbors"])
    ids, lists = table["id"].to_numpy(), table["neighbors"]
    if len(np.unique(ids)) != len(vectors) or len(ids) != len(vectors):
        raise ValueError(f"{len(ids)} rows of {len(vectors)}")
    order = np.argsort(ids)
    found = [lists[int(order[row])].as_py() for row in sampled]
    found = [np.array([n["neighbor"] if isinstance(n, dict) else n for n in near], np.int64) for near in found]
    value, error = recall(vectors, None, sampled, found, distances, "l2")
    return {"recall": value, "standardError": error}


def tune(spark, items, trees, target, directory):
    vectors, sampled, distances = known[items]
    return annoy_rival.tune(items, trees, K, vectors, sampled, target, directory,
                            lambda found: recall(vectors, None, sampled, found, distances, "l2")[0])


def annoy(spark, items, trees, searchK, out, directory):
    return annoy_rival.join(spark, items, trees, searchK, K, out, directory)


def count(spark, path):
    return {"pairs": ds.dataset(path, format="parquet").count_rows()}


OPS = {"prepare": prepare, "score": score, "tune": tune, "annoy": annoy, "mllib": mllib_rival.join, "count": count}


def main():
    spark = start(*sys.argv[1:])
    print(json.dumps({"spark": spark.version}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        begun = time.perf_counter()
        try:
            answer = OPS[task.pop("op")](spark, **task)
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"[:600]}
        print(json.dumps({"took": time.perf_counter() - begun, **answer}), flush=True)


main()
