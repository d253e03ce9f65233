"""Reads the vectors of a Delta table with fast_lsh_ann's own reader, five times: seconds of CPU of each as JSON.
read_fast_lsh_ann.py TABLE COLUMN"""
import json
import sys
import time

from fast_lsh_ann.delta_utils import read_delta_embeddings

seconds, total = [], 0.0
for _ in range(5):
    start = time.process_time()
    vectors, _ids = read_delta_embeddings(sys.argv[1], sys.argv[2])
    seconds.append(time.process_time() - start)
    total = float(vectors.sum(dtype="f8"))
print(json.dumps({"seconds": seconds, "total": total}))
