"""Runs SQL on PySpark with Delta Lake: python spark_sql.py IVY WAREHOUSE. A JSON text of SQL a line in, its rows as JSON a line out."""

import datetime as dt
import json
import os
import sys
from decimal import Decimal

os.environ.pop("SPARK_DAEMON_MEMORY", None)
from pyspark.sql import SparkSession  # noqa: E402

settings = {
    "spark.jars.packages": "io.delta:delta-spark_2.13:4.0.1",
    "spark.jars.ivy": sys.argv[1],
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.memory": "1g",
    # Every statement runs once, on a handful of rows: compiling it for speed takes longer than running it.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.warehouse.dir": sys.argv[2],
}
builder = SparkSession.builder.master("local[2]").appName("nigh")
for name, value in settings.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def plain(value):
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return list(value)
    raise TypeError(type(value))


def answer(message):
    print(json.dumps(message, default=plain), flush=True)


answer({"rows": []})
for line in sys.stdin:
    try:
        answer({"rows": [row.asDict(recursive=True) for row in spark.sql(json.loads(line)).collect()]})
    except Exception as error:  # The test says what it thinks of it.
        answer({"error": str(error)[:2000]})
spark.stop()
