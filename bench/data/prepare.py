"""Makes a dataset once and a table of its first rows: python prepare.py FOLDER DATASET ROWS prints {items, queries, sha256} as JSON.

A side is {npy, parquet, rows, dim}. The .npy holds all rows, and its reader takes the first; the Parquet file has just the rows.
"""
import hashlib
import json
import os
import sys

import numpy as np
import patches
import pyarrow.parquet as pq
import shared
import text
from tables import parquet_to_npy, write_parquet

MAKERS = {
    "photo-sift": shared.photo_sift,
    "mixture-clustered": shared.mixture("clustered"),
    "mixture-tailed": shared.mixture("tailed"),
    "text": text.make,
    "patches": patches.make,
}


def side(folder, name, rows):
    whole, npy = f"{folder}/{name}.parquet", f"{folder}/{name}.npy"
    if not os.path.exists(npy):
        parquet_to_npy(whole, npy)
    matrix = np.load(npy, mmap_mode="r")
    if rows > len(matrix):
        raise ValueError(f"{rows} rows asked, the table has {len(matrix)}")
    parquet = whole if rows == len(matrix) else f"{folder}/{name}-{rows}.parquet"
    if not os.path.exists(parquet):
        stored = pq.ParquetFile(whole).schema_arrow.field("vector").type.value_type.to_pandas_dtype()
        write_parquet(parquet, matrix[:rows].astype(stored, copy=False))
    return {"npy": npy, "parquet": parquet, "rows": rows, "dim": matrix.shape[1]}


def fingerprint(matrix):
    digest = hashlib.sha256()
    for first in range(0, len(matrix), 65_536):
        digest.update(np.ascontiguousarray(matrix[first:first + 65_536]))
    return digest.hexdigest()[:16]


def prepare(data, dataset, rows):
    # Ten million rows are a table of their own, made only when asked for.
    folder = os.path.abspath(os.path.join(data, dataset + ("-large" if rows > 1_000_000 else "")))
    about = f"{folder}/{rows}.json"
    if os.path.exists(about):
        with open(about) as f:
            return json.load(f)
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(f"{folder}/items.parquet"):
        MAKERS[dataset](folder, rows)
    items = side(folder, "items", rows)
    known = os.path.exists(f"{folder}/queries.parquet")
    queries = side(folder, "queries", pq.ParquetFile(f"{folder}/queries.parquet").metadata.num_rows) if known else None
    made = {"items": items, "queries": queries, "sha256": fingerprint(np.load(items["npy"], mmap_mode="r")[:rows])}
    with open(about, "w") as f:
        json.dump(made, f)
    return made


if __name__ == "__main__":
    print(json.dumps(prepare(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
