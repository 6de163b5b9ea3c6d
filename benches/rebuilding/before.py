"""Measures how the team worked before fruitvec: Keras in a pandas UDF, then Spark ML's PCA."""

import json
import statistics

from measuring.environments import PROGRAMS
from measuring.processes import THREADS
from measuring.tables import print_table
from rebuilding.measurement import least_and_median, least_cpu, peak_memory, stage_times
from rebuilding.spark_ml import WORKER_OVERHEAD

HEAD = [
    "photos/s, best · median",
    "s, least",
    "median",
    "start-up, s",
    "CPU of the whole job, s",
    "peak memory, MB",
]


def run(workspace):
    # The backfill may have created them.
    if not any(workspace.pictures.iterdir()):
        workspace.create_pictures(workspace.options.photos)
    photos = workspace.count_pictures()
    with workspace.spark_cluster(workspace.options.spark_memory, "before", "before.txt") as spark:
        rounds = [embed_and_fit(workspace, spark, photos) for _ in range(workspace.rounds)]
    embedded, fitted = map(list, zip(*rounds, strict=True))
    rows = [
        table_row("pandas UDF with Keras", embedded, "embed", photos),
        table_row("MLlib's PCA of them: fit", fitted, "fit", None),
        table_row("MLlib's PCA of them: scores", fitted, "project", None),
    ]
    title = f"as before: {photos:,} photos, Spark, {len(THREADS)} executors of one core"
    print_table([title, *HEAD], rows)


def table_row(name, runs, stage, photos):
    least, median = least_and_median(stage_times(runs, stage))
    start_up = statistics.median(run.outside_stages for run in runs)
    rate = f"{photos / least:,.1f} · {photos / median:,.1f}" if photos else ""
    cells = (least, median, start_up, least_cpu(runs))
    return [name, rate, *(f"{cell:,.1f}" for cell in cells), peak_memory(runs)]


def embed_and_fit(workspace, spark, photos):
    """Embeds all photos, then fits the result. Returns both measurements."""
    features, scores = workspace.folder / "features", workspace.folder / "scores"
    embedded, result = submit(workspace, spark, photos, "embed", workspace.pictures, features)
    embedded.stages = {"embed": result["seconds"]}
    fitted, result = submit(workspace, spark, photos, "pca", features, scores, "features")
    fitted.stages = {"fit": result["fit"], "project": result["project"]}
    return embedded, fitted


def submit(workspace, spark, photos, *arguments):
    """Runs the baseline program. Returns the measurement and the JSON that the program prints."""
    memory_mb = workspace.options.spark_memory - WORKER_OVERHEAD
    output, _, measured = spark.submit(PROGRAMS / "spark_baseline.py", *arguments, memory_mb=memory_mb)
    result = json.loads(output.splitlines()[-1])
    assert result["rows"] == photos, f"{result['rows']} of {photos} photos"
    return measured, result
