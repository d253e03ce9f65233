"""Writes Delta tables with Python's deltalake into the directory given: python make_deltalake.py DIR"""

import datetime as dt
import sys
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

out = Path(sys.argv[1])
DIM = 4
UTC = dt.timezone.utc


def vectors(first, rows):
    """Row i is (i, 0, 0, 0): the nearest of each is itself."""
    values = np.zeros((rows, DIM), dtype=np.float32)
    values[:, 0] = np.arange(first, first + rows)
    return pa.ListArray.from_arrays(pa.array(np.arange(0, rows * DIM + 1, DIM), type=pa.int32()), values.ravel())


def rows(first, count, **columns):
    ids = pa.array(range(first, first + count), type=pa.int64())
    return pa.table({"id": ids, "vector": vectors(first, count), **columns})


# Versions 0 to 3: ten rows, ten more, all without those below 5, and three others instead.
history = str(out / "history")
for step in [
    lambda: write_deltalake(history, rows(0, 10)),
    lambda: write_deltalake(history, rows(10, 10), mode="append"),
    lambda: DeltaTable(history).delete("id < 5"),
    lambda: write_deltalake(history, rows(100, 3), mode="overwrite"),
]:
    step()
    time.sleep(0.05)

# Partition values that a path has to escape, and a null.
country = ["FR", "a b", "x/y=z", "50%", "ü:?#", None, "FR", None]
day = [dt.date(2026, 1, 1 + i % 2) for i in range(8)]
write_deltalake(
    str(out / "partitions"),
    rows(0, 8, country=pa.array(country), day=pa.array(day)),
    partition_by=["country", "day"],
)

# Fourteen commits, a checkpoint after the twelfth.
checkpoint = str(out / "checkpoint")
for i in range(12):
    write_deltalake(checkpoint, rows(10 * i, 10), mode="append")
DeltaTable(checkpoint).create_checkpoint()
for path in (out / "checkpoint" / "_delta_log").glob("0000000000000000000[0-8].json"):
    path.unlink()
for i in range(12, 14):
    write_deltalake(checkpoint, rows(10 * i, 10), mode="append")

stamp = dt.datetime(2026, 2, 3, 4, 5, 6, 789012)
write_deltalake(
    str(out / "types"),
    rows(
        0,
        3,
        i8=pa.array([1, None, -128], pa.int8()),
        i16=pa.array([1, None, -32768], pa.int16()),
        i32=pa.array([1, None, -(2**31)], pa.int32()),
        i64=pa.array([1, None, -(2**63)], pa.int64()),
        f32=pa.array([0.5, None, -1e30], pa.float32()),
        f64=pa.array([0.1, None, -1e300], pa.float64()),
        price=pa.array([Decimal("12.34"), None, Decimal("-0.01")], pa.decimal128(10, 2)),
        text=pa.array(["", None, "naïve 🙂"]),
        raw=pa.array([b"", None, b"\x00\xff"]),
        flag=pa.array([True, None, False]),
        day=pa.array([dt.date(1969, 12, 31), None, dt.date(2026, 2, 3)]),
        at=pa.array([stamp, None, stamp], pa.timestamp("us", tz="UTC")),
        local=pa.array([stamp, None, stamp], pa.timestamp("us")),
        tags=pa.array([["a", None], None, []], pa.list_(pa.string())),
        point=pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": None}], pa.struct([("x", pa.int32()), ("y", pa.string())])),
        counts=pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int32())),
    ),
)

# A column that the first file does not have.
evolved = str(out / "evolved")
write_deltalake(evolved, rows(0, 2))
write_deltalake(evolved, rows(2, 2, extra=pa.array(["p", "q"])), mode="append", schema_mode="merge")

write_deltalake(str(out / "empty"), rows(0, 0))
