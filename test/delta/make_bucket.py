"""Fills a bucket of moto's server and makes a user: python make_bucket.py ENDPOINT DIR. Prints the user's key as JSON."""

import json
import os
import sys

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from deltalake import write_deltalake

endpoint, out = sys.argv[1], sys.argv[2]
default = {"endpoint_url": endpoint, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
s3 = boto3.client("s3", **default)
s3.create_bucket(Bucket="tables")


def rows(first, count, dim=4, **columns):
    values = np.zeros((count, dim), dtype=np.float32)
    values[:, 0] = np.arange(first, first + count)
    values[:, 1:] = np.random.default_rng(first).normal(size=(count, dim - 1))
    vectors = pa.FixedSizeListArray.from_arrays(values.ravel(), dim)
    return pa.table({"id": pa.array(range(first, first + count), pa.int64()), "vector": vectors, **columns})


def upload(name, write):
    path = os.path.join(out, "upload")
    write(path)
    s3.upload_file(path, "tables", name)


upload("plain/a.parquet", lambda p: pq.write_table(rows(0, 3, title=["a", "b", "c"]), p))
upload("plain/b.arrow", lambda p: feather.write_feather(rows(3, 3, title=["d", "e", "f"]), p, compression="uncompressed"))
upload("plain/_hidden.parquet", lambda p: pq.write_table(rows(90, 3), p))
upload("large.parquet", lambda p: pq.write_table(rows(0, 30_000, dim=64), p, row_group_size=7_000, compression="none"))
options = {
    "AWS_ENDPOINT_URL": endpoint,
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_ALLOW_HTTP": "true",
}
table = rows(0, 3, country=["a b", None, "x/y%"])
write_deltalake("s3://tables/delta/parts", table, partition_by=["country"], storage_options=options)

iam = boto3.client("iam", **default)
iam.create_user(UserName="reader")
allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(allowed))
key = iam.create_access_key(UserName="reader")["AccessKey"]
print(json.dumps({"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
