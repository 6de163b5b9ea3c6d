"""The way the team worked before fruitvec, and Spark ML's own PCA. Run by rebuild.py with spark-submit.

    embed PHOTOS OUT       embeds a folder of photos with Keras in a pandas UDF and writes Parquet
    pca ROWS OUT COLUMN    fits a PCA to a column of lists in Parquet and writes the scores as Parquet

`embed` does the same as a widespread notebook. It broadcasts the weights of MobileNetV2, builds the network
in each partition, reads photos with binaryFile and spreads them over 24 partitions. The weights are random
here, which takes the same time. Each mode prints one line of JSON.
"""

import io
import json
import sys
import time

from pyspark.sql import SparkSession

COMPONENTS, PARTITIONS, SIDE = 20, 24, 224


def embed(spark, photos, out):
    import numpy
    import pandas
    from PIL import Image
    from pyspark.sql.functions import PandasUDFType, col, element_at, pandas_udf, split
    from tensorflow.keras import Model
    from tensorflow.keras.applications.mobilenet_v2 import MobileNetV2, preprocess_input
    from tensorflow.keras.preprocessing.image import img_to_array

    def network(weights=None):
        whole = MobileNetV2(weights=None, include_top=True, input_shape=(SIDE, SIDE, 3))
        headless = Model(inputs=whole.input, outputs=whole.layers[-2].output)
        if weights is not None:
            headless.set_weights(weights)
        return headless

    weights = spark.sparkContext.broadcast(network().get_weights())

    def preprocessed(content):
        photo = Image.open(io.BytesIO(content)).convert("RGB").resize([SIDE, SIDE])
        return preprocess_input(img_to_array(photo))

    def featurize_series(model, contents):
        features = model.predict(numpy.stack(contents.map(preprocessed)), verbose=0)
        return pandas.Series([row.flatten() for row in features])

    def featurize(batches):
        model = network(weights.value)
        for contents in batches:
            yield featurize_series(model, contents)

    featurized = pandas_udf(featurize, "array<float>", PandasUDFType.SCALAR_ITER)
    start = time.perf_counter()
    images = (
        spark.read.format("binaryFile")
        .option("pathGlobFilter", "*.jpg")
        .option("recursiveFileLookup", "true")
        .load(photos)
    )
    images = images.withColumn("label", element_at(split(col("path"), "/"), -2))
    features = images.repartition(PARTITIONS).select("path", "label", featurized("content").alias("features"))
    features.write.mode("overwrite").parquet(out)
    return {"seconds": time.perf_counter() - start, "rows": spark.read.parquet(out).count()}


def pca(spark, rows, out, column):
    from pyspark.ml.feature import PCA
    from pyspark.ml.functions import array_to_vector, vector_to_array
    from pyspark.sql.functions import col

    start = time.perf_counter()
    vectors = spark.read.parquet(rows).select(array_to_vector(col(column)).alias("vector"))
    fit = PCA(k=COMPONENTS, inputCol="vector", outputCol="scores").fit(vectors)
    fitted = time.perf_counter()
    fit.transform(vectors).select(vector_to_array(col("scores"), "float32").alias("scores")).write.mode(
        "overwrite"
    ).parquet(out)
    projected = time.perf_counter()
    # The share of the whole variance, as in scikit-learn.
    explained = float(fit.explainedVariance.toArray().sum())
    return {
        "fit": fitted - start,
        "project": projected - fitted,
        "rows": spark.read.parquet(out).count(),
        "explained": explained,
    }


def main(mode, *arguments):
    spark = SparkSession.builder.appName(f"before: {mode}").getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    print(json.dumps({"embed": embed, "pca": pca}[mode](spark, *arguments)), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
