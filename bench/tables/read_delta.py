"""Reads the vectors of a Delta table with Python's deltalake, five times: seconds of CPU of each as JSON. read_delta.py TABLE COLUMN"""
import json
import sys
import time

from deltalake import DeltaTable

seconds, total = [], 0.0
for _ in range(5):
    start = time.process_time()
    column = DeltaTable(sys.argv[1]).to_pyarrow_table(columns=[sys.argv[2]]).column(0).combine_chunks()
    vectors = column.flatten().to_numpy().reshape(len(column), -1)
    seconds.append(time.process_time() - start)
    total = float(vectors.sum(dtype="f8"))
print(json.dumps({"seconds": seconds, "total": total}))
