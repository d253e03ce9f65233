"""Prints a Delta table as deltalake reads it, as JSON: python read_deltalake.py PATH [VERSION]"""

import base64
import datetime as dt
import json
import os
import sys
from decimal import Decimal

import pyarrow as pa
from deltalake import DeltaTable

path = sys.argv[1]
version = int(sys.argv[2]) if len(sys.argv) > 2 else None
names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"]
options = {name: os.environ[name] for name in names if name in os.environ and path.startswith("s3://")}
if options:
    options["AWS_ALLOW_HTTP"] = "true"
table = DeltaTable(path, version=version, storage_options=options or None)


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value))


data = pa.table(table.to_pyarrow_table())
actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
facts = {
    "version": table.version(),
    "schema": [[f.name, str(f.type)] for f in data.schema],
    "partitionColumns": table.metadata().partition_columns,
    "rows": sorted(data.to_pylist(), key=lambda row: row["id"]),
    "actions": actions,
    "protocol": [table.protocol().min_reader_version, table.protocol().min_writer_version],
}
print(json.dumps(facts, default=plain), flush=True)
# Threads of the readers may still be there, and abort the interpreter on its way out.
os._exit(0)
