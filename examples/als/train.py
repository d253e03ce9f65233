"""Ratings to factors: Spark ML's ALS on the sample of MovieLens that Spark ships.

    python examples/als/train.py FOLDER [RATINGS]

Writes FOLDER/users and FOLDER/movies (id, features) as Parquet.
"""

import os
import sys

import pyspark
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

folder = sys.argv[1]
sample = os.path.join(os.path.dirname(pyspark.__file__), "data/mllib/als/sample_movielens_ratings.txt")
ratings = sys.argv[2] if len(sys.argv) > 2 else sample

spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", 2).getOrCreate()
rows = spark.read.text(ratings).selectExpr("split(value, '::') AS part")
table = rows.selectExpr("int(part[0]) AS user", "int(part[1]) AS movie", "float(part[2]) AS rating")
als = ALS(rank=10, maxIter=5, regParam=0.1, seed=1, numUserBlocks=2, numItemBlocks=2, userCol="user", itemCol="movie", ratingCol="rating")
model = als.fit(table)
model.userFactors.coalesce(1).write.mode("overwrite").parquet(os.path.join(folder, "users"))
model.itemFactors.coalesce(1).write.mode("overwrite").parquet(os.path.join(folder, "movies"))
spark.stop()
