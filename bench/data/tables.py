"""Tables as Parquet for nigh and as .npy for the others: the same rows in the same order, ids from 0."""
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(path, vectors):
    """In the type they have: float32, or uint8 for pixels."""
    kind = pa.from_numpy_dtype(vectors.dtype)
    schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(kind, vectors.shape[1]))])
    part = path + ".part"
    with pq.ParquetWriter(part, schema) as writer:
        for first in range(0, len(vectors), 65_536):
            rows = np.ascontiguousarray(vectors[first:first + 65_536])
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
            writer.write_table(pa.table([pa.array(np.arange(first, first + len(rows))), column], schema=schema))
    os.replace(part, path)


def parquet_to_npy(source, path):
    """As float32, a row group at a time."""
    file = pq.ParquetFile(source)
    dim = file.schema_arrow.field("vector").type.list_size
    part = path + ".part.npy"
    out = np.lib.format.open_memmap(part, "w+", np.float32, (file.metadata.num_rows, dim))
    first = 0
    for batch in file.iter_batches(65_536, columns=["vector"]):
        out[first:first + len(batch)] = batch.column(0).flatten().to_numpy().reshape(len(batch), dim)
        first += len(batch)
    out.flush()
    os.replace(part, path)
