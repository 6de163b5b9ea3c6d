"""Spark ML's own PCA of the rows of a folder, run by spark-submit.

usage: spark_pca.py EMBEDDINGS COMPONENTS RESULT

It reads the Parquet files as any user of Spark would. Of a photo's rows the newest is taken: parts that were compacted lie beside what
they became. RESULT gets, as JSON, the number of rows, the share of each component in the variance, and the components.
"""

import json
import sys

from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession, Window
from pyspark.sql.functions import col, row_number

PARTITIONS = 2


def main(embeddings, components, result):
    """Reads, fits, writes."""
    # Each partition sums up a matrix of its own: by itself Spark would make two hundred.
    session = SparkSession.builder.appName("Spark ML's PCA").config("spark.sql.shuffle.partitions", PARTITIONS).getOrCreate()
    newest = Window.partitionBy("bucket", "key").orderBy(col("last_modified").desc(), col("embedded_at").desc(), col("photo_id").desc())
    numbered = session.read.parquet(embeddings).withColumn("number", row_number().over(newest))
    rows = numbered.where("number = 1").select(array_to_vector("embedding").alias("embedding")).cache()
    fit = PCA(k=int(components), inputCol="embedding", outputCol="scores").fit(rows)
    with open(result, "w") as file:
        json.dump({"rows": rows.count(), "ratios": list(fit.explainedVariance), "components": fit.pc.toArray().T.tolist()}, file)
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
