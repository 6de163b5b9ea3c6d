"""Fits Spark ML's own PCA to the rows of a folder. Run by spark-submit.

usage: spark_ml_pca.py EMBEDDINGS COMPONENTS RESULT

It reads the Parquet files as any user of Spark would, and takes the newest row of each photo: compacted parts
stay in the folder together with their replacement for a while. RESULT receives the number of rows, the
explained variance ratio of each component and the components, as JSON.
"""

import json
import sys

from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession, Window
from pyspark.sql.functions import col, row_number

PARTITIONS = 2


def main(embeddings, components, result):
    # Each partition adds up its own matrix, and the default is two hundred partitions.
    builder = SparkSession.builder.appName("Spark ML's PCA").config(
        "spark.sql.shuffle.partitions", PARTITIONS
    )
    session = builder.getOrCreate()
    newest_first = [col(name).desc() for name in ("last_modified", "embedded_at", "photo_id")]
    newest = Window.partitionBy("bucket", "key").orderBy(*newest_first)
    numbered = session.read.parquet(embeddings).withColumn("number", row_number().over(newest))
    rows = numbered.where("number = 1").select(array_to_vector("embedding").alias("embedding")).cache()
    fit = PCA(k=int(components), inputCol="embedding", outputCol="scores").fit(rows)
    with open(result, "w") as file:
        components = fit.pc.toArray().T.tolist()
        json.dump(
            {"rows": rows.count(), "ratios": list(fit.explainedVariance), "components": components}, file
        )
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
