"""MLlib's own similarity join by buckets, of a table with itself."""
import time

from pyspark.ml.feature import BucketedRandomProjectionLSH
from pyspark.ml.functions import array_to_vector
from pyspark.sql.functions import col


def join(spark, items, threshold, bucketLength, numHashTables, seed, out):
    begun = time.perf_counter()
    a = spark.read.parquet(items).select("id", array_to_vector("vector").alias("vector"))
    lsh = BucketedRandomProjectionLSH(inputCol="vector", outputCol="hashes", bucketLength=bucketLength,
                                      numHashTables=numHashTables, seed=seed)
    pairs = lsh.fit(a).approxSimilarityJoin(a, a, threshold, distCol="distance")
    rows = pairs.select(col("datasetA.id").alias("idA"), col("datasetB.id").alias("idB"), "distance")
    rows.write.parquet(out)
    return {"seconds": time.perf_counter() - begun}
