"""Vectors of text: the table that the demo makes of the sources under node_modules, its rows in a seeded random order.

Which packages are installed decides what is in it, so that figures of two versions of the project are of two tables: each record
has the table's hash.
"""
import os
import subprocess

import numpy as np
import pyarrow as pa
from tables import write_parquet

# The last rows ask, and are no items.
QUERIES = 10_000
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def make(folder, rows):
    node = {"check": True, "cwd": ROOT, "stdout": subprocess.DEVNULL}
    subprocess.run(["node", "node_modules/typescript/bin/tsc", "-b", "tsconfig.src.json", "tsconfig.examples.json"], **node)
    subprocess.run(["node", ".build/examples/near-duplicate-code/main.js", "--dir", os.path.abspath(folder)], **node)
    table = pa.ipc.open_file(pa.memory_map(f"{folder}/code.arrow")).read_all()
    column = table.column("vector").combine_chunks()
    vectors = column.flatten().to_numpy().reshape(len(column), -1)
    vectors = vectors[np.linalg.norm(vectors, axis=1) > 0]
    vectors = vectors[np.random.default_rng(7).permutation(len(vectors))]
    write_parquet(f"{folder}/queries.parquet", vectors[-QUERIES:])
    write_parquet(f"{folder}/items.parquet", vectors[:-QUERIES])
    for name in ("code.arrow", "neighbors.arrow", "report.json"):
        os.remove(f"{folder}/{name}")
